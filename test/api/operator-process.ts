import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { load } from 'js-yaml';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpecInput } from '../../src/config/schema.ts';
import { connectInfra } from '../../src/kube/connect.ts';
import type { Connection } from '../../src/kube/connection.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { ConfigMap, KubeObject } from '../../src/kube/objects.ts';
import { connectWhole, type WholeCluster } from '../../src/kube/whole-cluster.ts';
import { buildKubeconfig } from '../../src/kubeconfig/build.ts';
import { deploy } from '../../src/operations/deploy/deploy.ts';
import deploymentTemplate from '../../src/operator/deployment.yaml';
import { accountObjects, applyObjects, operatorObjects } from '../../src/operator/install.ts';
import { operatorName, operatorNamespace } from '../../src/operator/names.ts';
import { runOperator } from '../../src/operator/run.ts';
import type { SealKey } from '../../src/pki/sealing.ts';
import { objectAnnotation } from '../../src/plane/names.ts';
import { parseRecord, toConfigMap } from '../../src/plane/record.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { connectByFile } from '../connect-by-file.ts';
import { until } from '../until.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { untilInstalled, untilOperatorMay } from './rights.ts';

/** An API server of its own, and the operator as `npm run build` has made it, a process with the token of its account. */
export class OperatorWorld {
  readonly plane: ControlPlane;
  readonly admin: WholeCluster;
  /** With the token of its account. */
  readonly operator: Connection;
  readonly #kubeconfig: string;
  readonly #adminFile: string;
  readonly #children = new Set<ChildProcess>();
  /** What all operators have said. */
  log = '';

  private constructor(
    plane: ControlPlane,
    admin: WholeCluster,
    operator: Connection,
    kubeconfig: string,
    adminFile: string,
  ) {
    this.plane = plane;
    this.admin = admin;
    this.operator = operator;
    this.#kubeconfig = kubeconfig;
    this.#adminFile = adminFile;
  }

  static async open(): Promise<OperatorWorld> {
    const plane = await startControlPlane();
    const adminFile = await plane.kubeconfig('admin', ['system:masters']);
    const inside = connectByFile(adminFile, operatorNamespace);
    const admin = connectWhole(inside.transport.connection);
    await applyObjects(admin, operatorObjects(operatorNamespace), quietReporter);
    const { body } = await inside.transport.request<{ status: { token: string } }>({
      method: 'POST',
      path: `/api/v1/namespaces/${operatorNamespace}/serviceaccounts/${operatorName}/token`,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    });
    await inside.close();
    const kubeconfig = path.join(plane.folder, 'operator.kubeconfig');
    const { server, authority } = plane;
    const { token } = body.status;
    const user = { clusterName: 'infra', userName: 'operator', client: { token } };
    writeFileSync(kubeconfig, buildKubeconfig({ server, certificateAuthority: authority.certificate, ...user }));
    const operator = { server, tls: { authorities: [authority.certificate] }, credentials: { token: { text: token } } };
    const world = new OperatorWorld(plane, admin, operator, kubeconfig, adminFile);
    await world.until(() => admin.list(hostedControlPlane));
    await untilInstalled(admin, operatorNamespace);
    return world;
  }

  /** @param options of Node, beside those of the operator's Deployment */
  start(args: string[] = [], options: string[] = []): ChildProcess {
    const child = spawn(
      process.execPath,
      ['dist/cli.js', 'operator', 'run', '--kubeconfig', this.#kubeconfig, '--hosted-by', 'address', ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env.PATH, NODE_OPTIONS: [nodeOptionsOfDeployment(), ...options].join(' ') },
      },
    );
    for (const stream of [child.stdout, child.stderr])
      stream!.setEncoding('utf8').on('data', (text: string) => {
        this.log += text;
      });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  async end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }

  /** A namespace, as its administrator sees it. @param options `allowed`: whether the operator may work there */
  async namespace(
    name: string,
    { allowed = true, annotations }: { allowed?: boolean; annotations?: Record<string, string> } = {},
  ): Promise<InfraCluster> {
    await this.admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } });
    if (allowed) {
      await applyObjects(this.admin, accountObjects(name), quietReporter);
      await untilOperatorMay(this.admin, name);
    }
    return connectByFile(this.#adminFile, name);
  }

  async object(inside: InfraCluster, spec: object): Promise<KubeObject> {
    return inside.create({ ...hostedControlPlane, metadata: { name: 'k8sk8s' }, spec } as KubeObject);
  }

  /** A plane that sleeps, with its object: without pods, its objects do not differ from those of one that slept before. */
  async sleepingPlane(name: string, given: Partial<ClusterSpecInput> = {}, sealKey?: SealKey): Promise<InfraCluster> {
    const inside = await this.namespace(name);
    const by = connectInfra(inside.transport.connection, name, { sealKey });
    const spec = { host: 'localhost', profile: 'lite' as const, ...given };
    const work = { reporter: quietReporter, timeout: 500, signal: new AbortController().signal, allowDataLoss: false };
    await deploy(by, { ...work, choose: () => parseSpec(spec, 'in a test') }).catch(() => undefined);
    await by.close();
    for (const kind of ['Deployment', 'StatefulSet'])
      for (const { metadata } of (await inside.list({ apiVersion: 'apps/v1', kind })).items)
        await inside.merge({ apiVersion: 'apps/v1', kind }, metadata.name, { spec: { replicas: 0 } });
    const { metadata } = await this.object(inside, { ...spec, asleep: true });
    const record = (await inside.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, 'k8sk8s'))!;
    const asleep = { since: new Date().toISOString(), replicas: {} };
    const { data } = toConfigMap({ ...parseRecord(record)!, phase: 'available', asleep });
    const annotations = { [objectAnnotation]: metadata.uid! };
    await inside.replace({ ...record, data, metadata: { ...record.metadata, annotations } });
    return inside;
  }

  /** The operator in this process, with the token of its account. */
  run(signal: AbortSignal): Promise<void> {
    return runOperator({
      connection: connectByFile(this.#kubeconfig, operatorNamespace).transport.connection,
      namespace: operatorNamespace,
      identity: 'here',
      hostedBy: 'address',
      workers: 2,
      timeout: 3000,
      every: 60_000,
      backupPatience: 4000,
      signal,
      log: (entry) => {
        this.log += `${JSON.stringify(entry)}\n`;
      },
    });
  }

  until<T>(look: () => Promise<T | undefined | false>, seconds = 60): Promise<T> {
    return until(look, { seconds, every: 200, said: () => `the operator said:\n${this.log.slice(-4000)}` });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => this.end(child)));
    await this.admin.close();
    await this.plane.stop();
  }
}

/** Looks at planes: each asks first what it may do. */
export async function looksSoFar({ transport }: InfraCluster): Promise<number> {
  const { body } = await transport.request<string>({
    method: 'GET',
    path: '/metrics',
    accept: 'text/plain',
    text: true,
  });
  const asked = body.matchAll(/^apiserver_request_total\{[^}]*resource="selfsubjectrulesreviews"[^}]*\} (\S+)$/gm);
  return [...asked].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** A namespace as a user sees it who has no rights but those that a test gives. */
export async function asUser({ plane }: OperatorWorld, user: string, namespace: string): Promise<InfraCluster> {
  return connectByFile(await plane.kubeconfig(user, [], namespace), namespace);
}

function nodeOptionsOfDeployment(): string {
  const [, text] = /- name: NODE_OPTIONS\n\s+value: (.*)\n/.exec(deploymentTemplate) ?? [];
  return text === undefined ? '' : String(load(text));
}
