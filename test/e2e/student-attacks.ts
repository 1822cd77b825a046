import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { otherImages } from '../../src/config/versions.ts';
import { type Answer, Tenant } from './tenant.ts';
import {
  asInfraAdmin,
  eventually,
  infraAdminEnvironment,
  kubectl,
  type Namespace,
  type Outcome,
  run,
  succeeded,
} from './world.ts';

const gate = /refused by the gate of this control plane/;

/** A student with all rights on both sides, and the neighbour whose plane is looked for: both planes run. */
export class Attacker {
  /** Administrator of the own hosted cluster. */
  readonly tenant: Tenant;
  /** User of the infra cluster with the rights of the column `user`. */
  readonly own: Namespace;
  readonly neighbour: string;
  /** What was asked, and what came. */
  readonly seen: string[] = [];
  readonly #kubeconfig: string;

  /** @param kubeconfig of the own hosted cluster, in the folder of `home` */
  constructor(home: Namespace, kubeconfig: string, own: Namespace, neighbour: string) {
    this.tenant = new Tenant(home, kubeconfig);
    this.#kubeconfig = path.join(home.cwd, kubeconfig);
    this.own = own;
    this.neighbour = neighbour;
  }

  close(): void {
    this.tenant.close();
  }

  /** kubectl as the user of the infra cluster. */
  infra(...args: string[]): Promise<Outcome> {
    return this.own.infra(...args);
  }

  async addressOf(component: string): Promise<string> {
    const selector = `app.kubernetes.io/name=${component}`;
    const args = ['-n', this.neighbour, 'get', 'pods', '-l', selector, '-o', 'jsonpath={.items[0].status.podIP}'];
    return succeeded(await asInfraAdmin(...args)).stdout;
  }

  async apiPort(): Promise<number> {
    const port = '{.items[0].spec.containers[?(@.name=="kube-apiserver")].ports[0].containerPort}';
    const args = ['get', 'pods', '-l', 'app.kubernetes.io/name=kube-apiserver', '-o', `jsonpath=${port}`];
    return Number(succeeded(await asInfraAdmin('-n', this.neighbour, ...args)).stdout);
  }

  refused(what: string, { status, body }: Answer, because: RegExp): void {
    this.seen.push(`${what} -> ${status} ${body.replace(/\s+/g, ' ').slice(0, 140)}`);
    expect(status === 0 || status >= 400, `${what}: ${status} ${body}`).toBe(true);
    expect(body, what).toMatch(because);
  }

  forbidden(what: string, { code, stderr }: Outcome, because: RegExp): void {
    this.seen.push(`${what} -> ${stderr.replace(/\s+/g, ' ').slice(0, 160)}`);
    expect(code, `${what}: ${stderr}`).not.toBe(0);
    expect(stderr, what).toMatch(because);
  }

  /** The own API server is to go to the neighbour's etcd and API server. */
  async byOwnApiServer(): Promise<void> {
    const targets = [
      { address: await this.addressOf('etcd'), port: 2379, scheme: 'https', at: 'health' },
      { address: await this.addressOf('etcd'), port: 2381, scheme: 'http', at: 'metrics' },
      { address: await this.addressOf('kube-apiserver'), port: await this.apiPort(), scheme: 'https', at: 'version' },
      { address: await this.addressOf('kube-controller-manager'), port: 10257, scheme: 'https', at: 'metrics' },
    ];
    const { tenant } = this;
    await Promise.all(
      targets.map(async ({ address, port, scheme, at }) => {
        const node = await tenant.node([{ type: 'InternalIP', address }], port);
        const byNode = `/api/v1/nodes/${scheme}:${node}:${port}/proxy/${at}`;
        this.refused(`GET ${byNode} (a Node at ${address})`, await tenant.ask('GET', byNode), gate);
        const pod = await tenant.pod(node, address);
        const byPod = pod.replace(/pods\/(.*)$/, `pods/${scheme}:$1:${port}/proxy/${at}`);
        this.refused(`GET ${byPod} (a Pod at ${address})`, await tenant.ask('GET', byPod), gate);
        const service = await tenant.service(port, address, pod);
        const byService = `/api/v1/namespaces/default/services/${scheme}:${service}:443/proxy/${at}`;
        this.refused(`GET ${byService} (endpoints at ${address})`, await tenant.askService(byService), gate);
      }),
    );
    const url = `https://${targets[2]!.address}:${targets[2]!.port}/`;
    this.refused(`a webhook at ${url}`, await tenant.webhook({ url }), gate);
  }

  /** The own credentials are shown to the neighbour's API server. @param server its address for people */
  async byOwnCredentials(server: string): Promise<void> {
    const { tenant } = this;
    const token = await tenant.ask('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    });
    const { status } = JSON.parse(token.body) as { status: { token: string } };
    const at = '/api/v1/secrets';
    const unknown = /Unauthorized|forbidden/i;
    this.refused(
      "a token of the own cluster at the neighbour's",
      await tenant.ask('GET', at, { server, as: status }),
      unknown,
    );
    const config = succeeded(
      await run(kubectl, [`--kubeconfig=${this.#kubeconfig}`, 'config', 'view', '--raw', '-o', 'json']),
    );
    const [{ user }] = (JSON.parse(config.stdout) as { users: [{ user: Record<string, string> }] }).users;
    const decoded = (field: string) => Buffer.from(user[field]!, 'base64').toString('utf8');
    const as = { cert: decoded('client-certificate-data'), key: decoded('client-key-data') };
    this.refused("the own administrator's certificate there", await tenant.ask('GET', at, { server, as }), unknown);
    const headers = { 'X-Remote-User': 'admin', 'X-Remote-Group': 'system:masters' };
    this.refused('X-Remote-User: admin there', await tenant.ask('GET', at, { server, as, headers }), unknown);
  }
}

/**
 * A pod of the own namespace dials the neighbour's pods, with the keys of the own plane: whoever may make pods may also take the gate off
 * the own API server, and gets no further so than this pod.
 *
 * @returns what each of them answered
 */
export async function byOwnPod(attacker: Attacker): Promise<Record<string, string>> {
  const [etcd, api, manager, scheduler] = await Promise.all(
    ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].map((each) => attacker.addressOf(each)),
  );
  const targets = {
    'etcd without a certificate': [etcd, 2379, '/health', ''],
    "etcd with the own plane's certificate": [etcd, 2379, '/health', 'etcd'],
    "etcd's peers": [etcd, 2380, '/members', 'etcd'],
    "the API server with the own administrator's certificate": [
      api,
      await attacker.apiPort(),
      '/api/v1/secrets',
      'admin',
    ],
    'the controller-manager': [manager, 10257, '/metrics', 'admin'],
    'the scheduler': [scheduler, 10259, '/metrics', 'admin'],
  };
  const name = 'visitor';
  await attacker.infra('delete', 'pod', name, '--ignore-not-found', '--wait=true');
  const manifest = visitor(name, JSON.stringify(targets));
  succeeded(
    await run(kubectl, ['-n', attacker.own.name, 'apply', '-f', '-'], {
      env: attacker.own.env,
      cwd: attacker.own.cwd,
      input: manifest,
    }),
  );
  const log = await eventually(60, async () => {
    const { stdout } = succeeded(await attacker.infra('logs', name));
    expect(stdout).toContain('DONE');
    return stdout;
  });
  await attacker.infra('delete', 'pod', name, '--wait=false');
  const answers = JSON.parse(log.split('\n')[0]!) as Record<string, string>;
  for (const [what, answer] of Object.entries(answers)) attacker.seen.push(`pod -> ${what}: ${answer}`);
  return answers;
}

/** A volume of the neighbour's, claimed by its name. @returns the phase of the claim after a while */
export async function byVolume(attacker: Attacker): Promise<string> {
  const volume = await volumeOf(attacker.neighbour);
  const claim = claimOf('stolen', volume);
  succeeded(
    await run(kubectl, ['-n', attacker.own.name, 'apply', '-f', '-'], {
      env: attacker.own.env,
      cwd: attacker.own.cwd,
      input: JSON.stringify(claim),
    }),
  );
  await sleep(4000);
  const { stdout } = succeeded(await attacker.infra('get', 'pvc', 'stolen', '-o', 'jsonpath={.status.phase}'));
  await attacker.infra('delete', 'pvc', 'stolen', '--wait=false');
  attacker.seen.push(`a claim with volumeName ${volume.volumeName} -> ${stdout}`);
  if (volume.isMade) await asInfraAdmin('delete', 'pv', volume.volumeName, '--wait=false');
  return stdout;
}

interface VolumeName {
  volumeName: string;
  storageClassName: string;
  isMade: boolean;
}

/** A bound volume of the namespace; where its plane has none, one is made that has no data. */
async function volumeOf(namespace: string): Promise<VolumeName> {
  const at = 'jsonpath={.items[0].spec.volumeName} {.items[0].spec.storageClassName}';
  const found = await asInfraAdmin('-n', namespace, 'get', 'pvc', '-o', at);
  const [name, storageClass] = found.stdout.trim().split(' ');
  if (found.code === 0 && name) return { volumeName: name, storageClassName: storageClass ?? '', isMade: false };
  const made = { volumeName: `of-${namespace}`, storageClassName: '', isMade: true };
  const claim = claimOf('theirs', made);
  const volume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: made.volumeName },
    spec: {
      accessModes: claim.spec.accessModes,
      capacity: claim.spec.resources.requests,
      storageClassName: '',
      claimRef: { namespace, name: claim.metadata.name },
      hostPath: { path: '/var/empty-of-a-test' },
    },
  };
  const env = await infraAdminEnvironment();
  for (const object of [volume, claim])
    succeeded(await run(kubectl, ['-n', namespace, 'apply', '-f', '-'], { env, input: JSON.stringify(object) }));
  await eventually(20, async () => {
    const phase = await asInfraAdmin('-n', namespace, 'get', 'pvc', 'theirs', '-o', 'jsonpath={.status.phase}');
    expect(phase.stdout).toBe('Bound');
  });
  return made;
}

function claimOf(name: string, { volumeName, storageClassName }: Omit<VolumeName, 'isMade'>) {
  const spec = {
    volumeName,
    storageClassName,
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Mi' } },
  };
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name }, spec };
}

/**
 * Asks the neighbour's API server while the own one is asked without end, and notes how long that took.
 *
 * @param ask one question to the neighbour; throws where there was no answer
 * @returns how many answers there were meanwhile
 */
export async function flood(attacker: Attacker, seconds: number, ask: () => Promise<unknown>): Promise<number> {
  const timesUntil = async (until: number) => {
    const times: number[] = [];
    while (Date.now() < until) {
      const from = performance.now();
      await ask();
      times.push(performance.now() - from);
    }
    return times;
  };
  const median = (times: number[]) => Math.round(times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!);
  const quiet = await timesUntil(Date.now() + (seconds * 1000) / 2);
  const until = Date.now() + seconds * 1000;
  const floods = Array.from({ length: 30 }, async () => {
    while (Date.now() < until) await attacker.tenant.ask('GET', '/api/v1/configmaps');
  });
  const [flooded] = await Promise.all([timesUntil(until), ...floods]);
  attacker.seen.push(
    `30 at once that list without end -> the neighbour's median is ${median(flooded)} ms, ${median(quiet)} ms before`,
  );
  return flooded.length;
}

const program = `
const https = require('https'), fs = require('fs');
const file = (name) => fs.readFileSync('/keys/' + name);
const pairs = {
  etcd: () => ({ cert: file('etcd/apiserver-etcd-client.crt'), key: file('etcd/apiserver-etcd-client.key') }),
  admin: () => { const text = file('admin/kubeconfig').toString(); const of = (field) => Buffer.from(new RegExp(field + ': (\\\\S+)').exec(text)[1], 'base64'); return { cert: of('client-certificate-data'), key: of('client-key-data') }; },
};
const ask = ([host, port, path, as]) => new Promise((resolve) => {
  let credential = {};
  try { credential = as ? pairs[as]() : {}; } catch (error) { return resolve('NO KEY ' + error.message); }
  const request = https.request({ host, port, path, rejectUnauthorized: false, timeout: 5000, ...credential }, (response) => { response.resume(); response.on('end', () => resolve(String(response.statusCode))); });
  request.on('timeout', () => request.destroy(new Error('no answer')));
  request.on('error', (error) => resolve('ERROR ' + (error.code || error.message)));
  request.end();
});
const targets = JSON.parse(process.env.TARGETS);
Promise.all(Object.entries(targets).map(async ([name, target]) => [name, await ask(target)])).then((all) => { console.log(JSON.stringify(Object.fromEntries(all))); console.log('DONE'); });
`;

function visitor(name: string, targets: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        fsGroup: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name,
          image: otherImages.node,
          command: ['node', '-e', program],
          env: [{ name: 'TARGETS', value: targets }],
          resources: { requests: { cpu: '5m', memory: '32Mi' } },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          volumeMounts: [
            { name: 'etcd', mountPath: '/keys/etcd' },
            { name: 'admin', mountPath: '/keys/admin' },
          ],
        },
      ],
      volumes: [
        { name: 'etcd', secret: { secretName: 'kube-apiserver' } },
        { name: 'admin', secret: { secretName: 'admin-kubeconfig' } },
      ],
    },
  });
}
