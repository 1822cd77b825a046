import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { load } from 'js-yaml';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import { type KubeObject, type Lease, nameOf, type Pod, type Secret, type Service } from '../../src/kube/objects.ts';
import { buildKubeconfig } from '../../src/kubeconfig/build.ts';
import { trusted } from '../../src/pki/authority.ts';
import { administrator } from '../../src/pki/certificates.ts';
import { type Credential, createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { planeKinds } from '../../src/plane/kinds.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import { readAuthority, readBundle } from '../../src/plane/secrets.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { addHostsLine } from '../../src/sandbox/hosts.ts';
import { firstInfra, requireState } from '../../src/sandbox/state.ts';
import { connectByFile } from '../connect-by-file.ts';
import { type Call, FaultProxy, type Judge } from './proxy.ts';

/** Address of a namespace's hosted cluster: a loopback address of its own, so that the port can be 443. */
function hostedAddress(namespace: string): string {
  const [high, low] = createHash('sha256').update(namespace).digest();
  return `127.83.${high}.${low}`;
}

/** The result of a command: its output and all its calls. */
export interface Outcome {
  command: string;
  /** Exit code; undefined when the command was killed. */
  code: number | undefined;
  stdout: string;
  stderr: string;
  milliseconds: number;
  calls: Call[];
  killedAfter: Call | undefined;
}

export interface RunOptions {
  /** Kills the command with SIGKILL after the server has acted on the call and before the command gets the answer. */
  killAfter?: (call: Call) => boolean;
  judge?: Judge;
  /** Milliseconds; a command that takes longer is killed, which is a failure. */
  limit?: number;
  /** Milliseconds by which the command's clock is ahead; negative when it is behind. */
  clock?: number;
  /** A command about files, which takes no namespace. */
  local?: boolean;
}

/** The objects of k8sk8s in a namespace. */
export interface PlaneState {
  /** Kind and name of each object, without the Lease. */
  names: string[];
  /** The objects with their contents, but without what differs between two planes of one spec (identities, addresses, keys). */
  contents: string[];
  lease: boolean;
  /** The holder of the Lease; a command gives it back when it ends. */
  holder: string | undefined;
  /** PEM of the CA. */
  authority: string | undefined;
}

/**
 * A namespace with its delegated administrator, and a proxy before each API server: the infra cluster's and the hosted
 * cluster's.
 */
export class Place {
  readonly namespace: string;
  readonly host: string;
  readonly folder: string;
  /** Connection of the delegated administrator without the proxy, for the reads of the harness. */
  readonly cluster: InfraCluster;
  readonly #proxies: FaultProxy[];
  /** All output so far with its source, for the search for secrets. */
  readonly heard: { source: string; stream: 'stdout' | 'stderr'; text: string }[] = [];

  /** Whether the cluster has nodes. Without them, a deploy is complete when it waits for etcd for the first time. */
  readonly hasNodes: boolean;

  private constructor(options: {
    namespace: string;
    host: string;
    folder: string;
    cluster: InfraCluster;
    proxies: FaultProxy[];
    hasNodes: boolean;
  }) {
    this.namespace = options.namespace;
    this.host = options.host;
    this.folder = options.folder;
    this.cluster = options.cluster;
    this.#proxies = options.proxies;
    this.hasNodes = options.hasNodes;
  }

  /** A namespace of a sandbox's infra cluster. */
  static async open(sandbox: string, namespace: string): Promise<Place> {
    const { kubeconfig } = await sandboxEnvironment({ name: sandbox, namespace });
    const cluster = connectByFile(kubeconfig, namespace);
    const folder = await newFolder();
    const host = `${namespace}.faults.test`;
    await addHostsLine(sandbox, host, hostedAddress(namespace));
    const infra = await infraProxy(kubeconfig, path.join(folder, 'kubeconfig'), namespace);
    const hosted = await hostedProxy(cluster, host, firstInfra(requireState(sandbox)).address);
    return new Place({ namespace, host, folder, cluster, proxies: [infra, hosted], hasNodes: true });
  }

  /** A namespace of an API server without nodes, with the kubeconfig of its delegated administrator. */
  static async withoutNodes(kubeconfig: string, namespace: string): Promise<Place> {
    const folder = await newFolder();
    const infra = await infraProxy(kubeconfig, path.join(folder, 'kubeconfig'), namespace);
    const cluster = connectByFile(kubeconfig, namespace);
    return new Place({ namespace, host: '127.0.0.1', folder, cluster, proxies: [infra], hasNodes: false });
  }

  async close(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
    await this.cluster.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  deploy(options: RunOptions = {}, ...more: string[]): Promise<Outcome> {
    const without = this.hasNodes ? [] : ['--expose', 'nodeport', '--timeout', '1s'];
    return this.run(['deploy', '-h', this.host, '--verbose', ...without, ...more], options);
  }

  /** Whether a deploy did all that is possible here. */
  isDeployed({ code, stderr }: Outcome): boolean {
    // A new plane waits for etcd first, an existing plane for its pods.
    const waiting = /ERROR (etcd did not start|the new pods of .* did not become ready) within 1 s/;
    return this.hasNodes ? code === 0 : code === 1 && waiting.test(stderr);
  }

  destroy(options: RunOptions = {}): Promise<Outcome> {
    return this.run(['destroy', '--yes', '--verbose'], options);
  }

  /** Runs `k8sk8s …` in the namespace, through both proxies. */
  async run(args: string[], options: RunOptions = {}): Promise<Outcome> {
    const started = performance.now();
    const command = `k8sk8s ${args.join(' ')}`;
    const calls: Call[] = [];
    let killedAfter: Call | undefined;
    const namespace = options.local ? [] : ['-n', this.namespace];
    const child = spawn(process.execPath, [path.resolve('dist/cli.js'), ...args, ...namespace], {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH,
        HOME: this.folder,
        KUBECONFIG: path.join(this.folder, 'kubeconfig'),
        ...(options.clock !== undefined && { NODE_OPTIONS: `--import=${otherClock(options.clock)}` }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C ends the harness and must not reach the command under test.
      detached: true,
    });
    for (const proxy of this.#proxies) {
      proxy.reset();
      proxy.judge = (call) => {
        calls.push(call);
        return options.judge?.(call);
      };
      proxy.acted = (call) => {
        if (killedAfter || !options.killAfter?.(call)) return killedAfter === undefined;
        killedAfter = call;
        child.kill('SIGKILL');
        return false;
      };
    }
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const limit = setTimeout(() => child.kill('SIGKILL'), options.limit ?? 240_000);
    const code = await new Promise<number | undefined>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exit) => resolve(exit ?? undefined));
    });
    clearTimeout(limit);
    for (const proxy of this.#proxies) proxy.reset();
    this.heard.push(
      { source: command, stream: 'stdout', text: stdout },
      { source: command, stream: 'stderr', text: stderr },
    );
    return { command, code, stdout, stderr, milliseconds: performance.now() - started, calls, killedAfter };
  }

  /** Reads the namespace without the proxy. */
  async state(): Promise<PlaneState> {
    const list = <T extends KubeObject>(apiVersion: string, kind: string) =>
      this.cluster.list<T>({ apiVersion, kind }, { labelSelector: anyPlaneSelector });
    const lists = await Promise.all([
      ...planeKinds.map(({ apiVersion, kind }) => list<KubeObject>(apiVersion, kind)),
      list<Pod>('v1', 'Pod'),
      list<Lease>('coordination.k8s.io/v1', 'Lease'),
    ]);
    const leases = lists.pop()!;
    const pods = lists.pop()!;
    const objects = lists.flatMap(({ items }) => items);
    return {
      names: [...objects, ...pods.items].map(nameOf).sort(),
      contents: comparable(objects),
      lease: leases.items.length > 0,
      holder: (leases.items as Lease[])[0]?.spec.holderIdentity || undefined,
      authority: readAuthority(objects),
    };
  }
}

/** A module that gives a program another time of day; timers and TLS keep the machine's clock. */
function otherClock(milliseconds: number): string {
  const source = `const Real=Date,now=()=>Real.now()+(${milliseconds});globalThis.Date=class extends Real{constructor(...a){a.length?super(...a):super(now())}static now(){return now()}}`;
  return `data:text/javascript;base64,${Buffer.from(source).toString('base64')}`;
}

function newFolder(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'k8sk8s-faults-'));
}

/** The contents that two planes of one spec have in common. */
function comparable(objects: KubeObject[]): string[] {
  const services = objects.filter(({ kind }) => kind === 'Service') as Service[];
  const replaced: [string | RegExp, string][] = [
    [/plane-[0-9a-f]{10}/g, 'PLANE'],
    // The names of Secrets with start files follow from their content, which has keys.
    [/\b(kube-apiserver(?:-egress)?)-[0-9a-f]{10}\b/g, '$1-CONTENT'],
    [/pvc-[0-9a-f-]{36}/g, 'VOLUME'],
    [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
    ...services.flatMap(({ metadata, spec }): [string, string][] => [
      [spec.clusterIP ?? '', `${metadata.name}-ip`],
      ...(spec.ports ?? []).flatMap(({ nodePort }): [string, string][] =>
        nodePort ? [[String(nodePort), 'NODE_PORT']] : [],
      ),
    ]),
  ];
  const volatile = new Set(
    'uid resourceVersion creationTimestamp generation managedFields status deployment.kubernetes.io/revision volume.kubernetes.io/selected-node'.split(
      ' ',
    ),
  );
  return objects
    .map((object) => {
      const data = object.kind === 'Secret' ? { data: Object.keys((object as Secret).data ?? {}).sort() } : {};
      const text = JSON.stringify({ ...object, ...data }, (key, value) =>
        volatile.has(key) || /hash$/.test(key) ? undefined : value,
      );
      return replaced.reduce((now, [from, to]) => (from === '' ? now : now.replaceAll(from, to)), text);
    })
    .sort();
}

/** The proxy before the infra API server; writes the kubeconfig that leads through it. */
async function infraProxy(kubeconfig: string, rewritten: string, namespace: string): Promise<FaultProxy> {
  const config = load(readFileSync(kubeconfig, 'utf8')) as {
    clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
    users: { name: string; user: { 'client-certificate-data': string; 'client-key-data': string } }[];
  };
  const { cluster } = config.clusters[0]!;
  const { name, user } = config.users[0]!;
  const decode = (data: string) => Buffer.from(data, 'base64').toString('utf8');
  const client: Credential = {
    certificate: decode(user['client-certificate-data']),
    key: decode(user['client-key-data']),
  };
  const server = new URL(cluster.server);
  const authority = await createAuthority('fault harness');
  const serving = await issueLeaf(authority, {
    commonName: 'fault harness',
    ipAddresses: ['127.0.0.1'],
    usages: ['serverAuth'],
  });
  const proxy = await FaultProxy.start({
    api: 'infra',
    address: '127.0.0.1',
    port: 0,
    open: async () => ({
      serving,
      upstream: {
        host: server.hostname,
        port: Number(server.port || 443),
        ca: decode(cluster['certificate-authority-data']),
        client,
      },
    }),
  });
  writeFileSync(
    rewritten,
    buildKubeconfig({
      server: `https://127.0.0.1:${proxy.port}`,
      certificateAuthority: authority.certificate,
      clusterName: 'through-the-fault-harness',
      userName: name,
      client,
      namespace,
    }),
    { mode: 0o600 },
  );
  return proxy;
}

/**
 * The proxy before the hosted API server, at the plane's HOST. It presents the certificate in the API server's Secret, which
 * the delegated administrator can read.
 */
async function hostedProxy(cluster: InfraCluster, host: string, ingress: string): Promise<FaultProxy> {
  const clients = new Map<string, Credential>();
  return FaultProxy.start({
    api: 'hosted',
    address: hostedAddress(cluster.namespace),
    port: 443,
    async open() {
      const secrets = await cluster.list<Secret>(
        { apiVersion: 'v1', kind: 'Secret' },
        { labelSelector: anyPlaneSelector },
      );
      const bundle = readBundle(secrets.items);
      const ca = bundle?.authorities.ca;
      const serving = bundle?.leaves.apiserver;
      if (!bundle || !ca || !serving) return undefined;
      const client = clients.get(ca.certificate) ?? (await administrator(bundle));
      clients.set(ca.certificate, client);
      return { serving, upstream: { host: ingress, port: 443, servername: host, ca: trusted(ca), client } };
    },
  });
}
