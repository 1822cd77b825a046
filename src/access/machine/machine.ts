import { createHash, X509Certificate } from 'node:crypto';
import type { ClusterSpec } from '../../config/schema.ts';
import { certificatesIn } from '../../pki/inspect.ts';
import { type Addresses, hostAndPort } from '../../plane/addresses.ts';
import { workerKubeconfig } from '../files.ts';
import { workerFolder, workerScript } from '../worker-script.ts';

/*
 * What makes a machine a worker, as data: files, units and steps. Each format (formats.ts) is another way to write the same down
 * (docs/adr/0057-one-source-for-machines.md).
 */

export interface MachineFile {
  path: string;
  /** Octal, as chmod takes it. */
  mode: '600' | '644' | '755';
  text: string;
}

export interface MachineUnit {
  name: string;
  text: string;
}

export interface Machine {
  /** HOST, for headings. */
  plane: string;
  files: MachineFile[];
  /** They are enabled and started. */
  units: MachineUnit[];
  /** Commands of a shell, for formats that run some; the units do the same where there are units. */
  steps: string[];
}

/** What the machine's surroundings ask for; each is a line of worker.env. */
export interface Surroundings {
  mirror?: string;
  kubeletVersion?: string;
  httpProxy?: string;
  httpsProxy?: string;
  noProxy?: string;
}

const script = `${workerFolder}/worker.sh`;

/** What a machine is made of that is to join a plane. */
export interface MachineToJoin {
  spec: ClusterSpec;
  addresses: Addresses;
  /** PEM of the plane's CA. */
  authority: string;
  /** A bootstrap token. */
  token: string;
  around: Surroundings;
}

/** A machine of a bare distribution. Its files have the bootstrap token, so they are secret. Pure. */
export function bareMachine(joining: MachineToJoin): Machine {
  return {
    plane: joining.spec.host,
    files: filesOf(joining),
    units: [{ name: 'k8sk8s-worker.service', text: joinUnit(joining.spec) }],
    steps: [`sh ${script} join`],
  };
}

/** The same by kubeadm, which writes the kubelet's configuration and starts it. Pure. */
export function kubeadmMachine(joining: MachineToJoin): Machine {
  return {
    plane: joining.spec.host,
    files: filesOf(joining),
    units: [],
    steps: [
      `sh ${script} install kubeadm`,
      `sh ${script} check kubeadm`,
      `sh ${script} kubeadm`,
      'kubeadm join --config /etc/kubernetes/kubeadm-join.yaml',
    ],
  };
}

/** `kubeadm join` of a machine that has neither a file nor a CA. Pure. */
export function kubeadmByToken({ addresses, authority, token }: Omit<MachineToJoin, 'around'>): string {
  const { host, port } = hostAndPort(addresses.workerServer);
  const hashes = certificatesIn(authority).map((pem) => {
    const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
    return `--discovery-token-ca-cert-hash sha256:${createHash('sha256').update(key).digest('hex')}`;
  });
  return `kubeadm join ${host}:${port} --token ${token} ${hashes.join(' ')}\n`;
}

function filesOf({ spec, addresses, authority, token, around }: MachineToJoin): MachineFile[] {
  const settings = environment(around);
  return [
    {
      path: `${workerFolder}/kubeconfig-kubelets`,
      mode: '600',
      text: workerKubeconfig(spec, addresses, authority, token),
    },
    { path: `${workerFolder}/ca.pem`, mode: '600', text: authority },
    { path: script, mode: '755', text: workerScript(spec, addresses) },
    ...(settings === '' ? [] : [{ path: '/etc/kubernetes/worker.env', mode: '600' as const, text: settings }]),
  ];
}

/** A shell reads it, so each value is quoted. */
function environment({ mirror, kubeletVersion, httpProxy, httpsProxy, noProxy }: Surroundings): string {
  const values = {
    MIRROR: mirror?.replace(/\/+$/, ''),
    KUBELET_VERSION: kubeletVersion,
    HTTP_PROXY: httpProxy,
    HTTPS_PROXY: httpsProxy,
    NO_PROXY: noProxy,
  };
  return Object.entries(values)
    .flatMap(([name, value]) => (value === undefined ? [] : `${name}='${value.replaceAll("'", `'\\''`)}'\n`))
    .join('');
}

/**
 * A machine that has its kubeconfig has joined: its address does not change unasked at a later boot. The type is simple, since before 244
 * systemd refuses a oneshot unit that is to be started again.
 */
function joinUnit({ host }: ClusterSpec): string {
  return `[Unit]
Description=Join the Kubernetes plane ${host}
After=network-online.target
Wants=network-online.target
ConditionPathExists=!/var/lib/kubelet/kubeconfig

[Service]
Type=simple
RemainAfterExit=yes
ExecStart=/bin/sh ${script} join
Restart=on-failure
RestartSec=20

[Install]
WantedBy=multi-user.target
`;
}
