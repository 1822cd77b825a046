import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { messageOf } from '../../src/base/errors.ts';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpecInput } from '../../src/config/schema.ts';
import { connectInfra } from '../../src/kube/connect.ts';
import type { Connection } from '../../src/kube/connection.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import { chooseContext } from '../../src/kubeconfig/choose.ts';
import { ownSurroundings } from '../../src/kubeconfig/surroundings.ts';
import { readRecord } from '../../src/live/record.ts';
import { deploy } from '../../src/operations/deploy/deploy.ts';
import { destroy } from '../../src/operations/destroy.ts';
import { sleepPlane, wakePlane } from '../../src/operations/sleep.ts';
import { upgrade } from '../../src/operations/upgrade/upgrade.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { versions } from '../../src/sandbox/versions.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import type { Work } from '../../src/ui/work.ts';
import { brokenImage, renamedImage } from '../images.ts';
import { type Hooks, Recorder } from './recorder.ts';

// Makes the tapes of test/streams/recorded on a sandbox: npm run record -- [NAMES]

interface Place {
  cluster: InfraCluster;
  /** With the rights of the infra cluster's own administrator. */
  admin: InfraCluster;
  host: string;
  sandbox: string;
  work: Work;
}

interface Scenario {
  about: string;
  /** Whether it begins with a plane. */
  plane: boolean;
  before?(place: Place): Promise<void>;
  hooks?(place: Place): Hooks;
  run(place: Place): Promise<unknown>;
  after?(place: Place): Promise<void>;
}

const deployed =
  (input: Partial<ClusterSpecInput> = {}) =>
  async ({ cluster, host, work }: Place): Promise<unknown> =>
    deploy(cluster, {
      ...work,
      allowDataLoss: false,
      choose: (recorded) =>
        parseSpec({ ...(recorded?.spec ?? { host }), ...input, allowUntestedVersion: true }, 'here'),
    });

const quota = { apiVersion: 'v1', kind: 'ResourceQuota' };

const scenarios: Record<string, Scenario> = {
  deploy: { about: 'a new plane comes up', plane: false, run: deployed() },
  'watch-cut': {
    about: 'a new plane comes up while the watch of the pods breaks off twice',
    plane: false,
    hooks: () => {
      let cuts = 0;
      return {
        onEvent(item, cut) {
          if (!('event' in item) || item.object.kind !== 'Pod' || cuts === 2) return;
          const name = item.object.metadata.labels?.['app.kubernetes.io/name'];
          if (name !== ['etcd', 'kube-apiserver'][cuts]) return;
          cuts++;
          cut('pods');
        },
      };
    },
    run: deployed(),
  },
  'image-pull': {
    about: 'the images of a new plane cannot be pulled',
    plane: false,
    run: deployed({ imageRegistry: 'registry.invalid' }),
  },
  'crash-loop': {
    about: 'the API server of a new plane ends by a flag that it does not know',
    plane: false,
    run: deployed({ apiServerArgs: ['no-such-flag=1'] }),
  },
  quota: {
    about: 'a quota that comes after preflight leaves no room for pods',
    plane: false,
    hooks: ({ admin }) => ({
      async beforeWrite(key) {
        if (key !== 'PATCH statefulsets/etcd') return;
        await admin.apply({ ...quota, metadata: { name: 'small' }, spec: { hard: { pods: '0' } } } as never);
      },
    }),
    run: deployed(),
    after: async ({ admin }) => void (await admin.delete(quota, 'small')),
  },
  unschedulable: {
    about: 'no node is as a new plane wants it',
    plane: false,
    run: deployed({ nodeSelector: { 'k8sk8s.test/place': 'nowhere' } }),
  },
  change: { about: 'an option of the API server changes', plane: true, run: deployed({ apiServerArgs: ['v=1'] }) },
  'change-refused': {
    about: 'an option of the API server changes to what it does not know',
    plane: true,
    run: deployed({ apiServerArgs: ['no-such-flag=1'] }),
  },
  'upgrade-back': {
    about: 'an upgrade to a version whose API server does not run is taken back',
    plane: true,
    async before({ sandbox }) {
      for (const component of ['kube-controller-manager', 'kube-scheduler'] as const)
        await renamedImage(sandbox, component, newer);
      await brokenImage(sandbox, 'kube-apiserver', newer, 'this one does not work');
    },
    run: ({ cluster, work }) =>
      upgrade(cluster, { ...work, to: newer, allowUntested: true, observe: 1, decide: () => undefined }),
  },
  sleep: { about: 'a plane goes to sleep', plane: true, run: ({ cluster, work }) => sleepPlane(cluster, work) },
  wake: {
    about: 'a plane that sleeps wakes',
    plane: true,
    before: async ({ cluster, work }) => void (await sleepPlane(cluster, work)),
    run: ({ cluster, work }) => wakePlane(cluster, work),
  },
};

/** Another release, of which the sandbox has no images. */
const newer = versions.kubernetes.replace(/\d$/, '8');

const reporter = terminalReporter();
const program = new Command('record')
  .argument('[names...]', Object.keys(scenarios).join(', '))
  .option('--sandbox <NAME>', 'a sandbox that is up', 'base')
  .option('--namespace <NAME>', 'namespace of the infra cluster, which is made', 'streams')
  .requiredOption('--host <NAME>', 'a name that leads to the sandbox (sandbox host NAME)')
  .action(async (names: string[], options: { sandbox: string; namespace: string; host: string }) => {
    for (const name of names.length > 0 ? names : Object.keys(scenarios)) await record(name, options);
  });

async function record(name: string, options: { sandbox: string; namespace: string; host: string }): Promise<void> {
  const scenario = scenarios[name];
  if (!scenario) throw new Error(`there is no scenario "${name}": ${Object.keys(scenarios).join(', ')}`);
  const { sandbox, namespace, host } = options;
  const person = await connectionOf({ name: sandbox, namespace });
  const admin = connectInfra(await connectionOf({ name: sandbox, admin: true }), namespace);
  const work = { reporter, timeout: 120_000, signal: new AbortController().signal };
  const place = { cluster: connectInfra(person, namespace), admin, host, sandbox, work };
  const gone = async () => destroy(place.cluster, { ...work, agreed: await readRecord(place.cluster) });
  await gone();
  try {
    if (scenario.plane) await deployed()(place);
    await scenario.before?.(place);
    const recorder = await Recorder.start(person, namespace, scenario.about, scenario.hooks?.(place));
    const ended = await scenario.run({ ...place, cluster: recorder.cluster }).then(
      () => 'done',
      (error: unknown) => messageOf(error),
    );
    const tape = await recorder.stop();
    const file = path.resolve('test/streams/recorded', `${name}.json`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, linesOf(tape));
    reporter.line(`${file}: ${ended}`);
  } finally {
    await scenario.after?.(place);
    await gone();
    await Promise.all([place.cluster.close(), admin.close()]);
  }
}

/** JSON with one item a line, so that a difference can be read. */
function linesOf({ items, ...rest }: object & { items: object[] }): string {
  const head = JSON.stringify(rest).slice(0, -1);
  return `${head},"items":[\n${items.map((item) => JSON.stringify(item)).join(',\n')}\n]}\n`;
}

async function connectionOf(options: { name: string; namespace?: string; admin?: boolean }): Promise<Connection> {
  const { kubeconfig } = await sandboxEnvironment(options);
  return chooseContext(
    { kubeconfig },
    ownSurroundings(() => undefined),
  ).connection;
}

await program.parseAsync();
process.exit();
