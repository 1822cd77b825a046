import { text } from 'node:stream/consumers';
import {
  type Connection,
  chooseContext,
  connectInfra,
  deploy,
  destroy,
  exportManifests,
  inClusterConnection,
  parseSpec,
  planeStatus,
  quietReporter,
  readRecord,
  runDeployChecks,
  type Surroundings,
  UserError,
} from '../../src/operations/index.ts';

// A program that has the core inside: it asks preflight, deploys, renders, tells the status and destroys, and prints what came
// of each as JSON. How it connects comes on standard input.

export interface Order {
  /** One of the three. */
  connection?: Connection;
  kubeconfig?: string;
  pod?: Pick<Surroundings, 'env' | 'serviceAccount'>;
  namespace: string;
  host: string;
  hostedBy?: 'address' | 'service';
}

export interface Told {
  checks: Record<string, string>;
  /** Anchor of the error that ended the deploy. */
  deploy?: string;
  kinds: string[];
  status: { phase: string; host: string; components: string[]; hosted: boolean };
  deleted: number;
  /** Whether this program may write files. */
  writes?: boolean;
}

const order = JSON.parse(await text(process.stdin)) as Order;
const nowhere: Surroundings = { env: {}, home: '/nonexistent', terminal: false };

function connection(): Connection {
  if (order.connection) return order.connection;
  if (order.pod) return inClusterConnection({ ...nowhere, ...order.pod });
  return chooseContext({ text: order.kubeconfig }, nowhere).connection;
}

const { namespace, host, hostedBy } = order;
const cluster = connectInfra(connection(), namespace, { hostedBy, actor: { name: 'embed' } });
const spec = parseSpec({ host, expose: 'nodeport' }, 'in the order');
const work = { reporter: quietReporter, timeout: 1000, signal: new AbortController().signal };

const checks = Object.fromEntries(
  (await runDeployChecks(cluster, spec)).map(({ name, outcome }) => [name, outcome.state]),
);
const ended = await deploy(cluster, { ...work, allowDataLoss: false, choose: () => spec }).then(
  () => undefined,
  (error: unknown) => {
    if (error instanceof UserError) return error.anchor;
    throw error;
  },
);
const { infra } = await exportManifests(cluster, spec, false);
const { phase, components, hosted, ...status } = await planeStatus(cluster);
const { deleted } = await destroy(cluster, { ...work, timeout: 10_000, agreed: await readRecord(cluster) });
const told: Told = {
  checks,
  deploy: ended,
  kinds: [...infra.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind!),
  status: { phase, host: status.host, components: components.map(({ name }) => name), hosted: hosted.answers },
  deleted,
  writes: process.permission?.has('fs.write'),
};
await cluster.close();
console.log(JSON.stringify(told));
