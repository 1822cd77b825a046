import { type Command, Option } from 'commander';
import { dump } from 'js-yaml';
import { hostedControlPlaneName, type LifeFields, lifeFields } from '../config/hosted-control-plane.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { followsObject } from '../live/followed.ts';
import { requireRecord } from '../live/record.ts';
import { adoptPlane } from '../operations/adopt.ts';
import { changesBy, objectOfRecord } from '../operator/from-record.ts';
import { lookAnnotation } from '../operator/names.ts';
import { type HostedControlPlane, kind, lifeOf } from '../operator/object.ts';
import type { Work } from '../ui/work.ts';
import { confirm } from './options/confirm.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  runChange,
  withInfra,
} from './options/connection.ts';

interface AdoptOptions extends ConnectionOptions {
  export?: boolean;
  yes?: boolean;
  deletionPolicy: LifeFields['deletionPolicy'];
  timeout: string;
}

export function configure(command: Command): void {
  addConnectionOptions(command)
    .addOption(
      new Option('--deletion-policy <POLICY>', 'of an object that is made here: what becomes of the plane without it')
        .choices(lifeFields.shape.deletionPolicy.unwrap().options)
        .default('Retain'),
    )
    .option('--export', 'only print the object that describes the plane as it is')
    .option('--yes', 'do not ask')
    .option('--timeout <TIME>', 'how long it may take', '1m');
  addOutputOptions(command).action(run);
}

async function run(options: AdoptOptions): Promise<void> {
  if (!options.export) return runChange(options, (cluster, work) => adopt(cluster, options, work));
  await withInfra(options, async (cluster) => {
    const object = objectOfRecord(await requireRecord(cluster), cluster.namespace, options.deletionPolicy);
    process.stdout.write(dump(object, { lineWidth: -1, noRefs: true }));
  });
}

async function adopt(cluster: InfraCluster, options: AdoptOptions, work: Work): Promise<void> {
  const { namespace } = cluster;
  const record = await requireRecord(cluster);
  if (await followsObject(cluster))
    return work.reporter.line(`Nothing to do: the plane in namespace "${namespace}" follows its HostedControlPlane.`);
  const found = await readObject(cluster);
  const object = found ?? objectOfRecord(record, namespace, options.deletionPolicy);
  const changes = changesBy(object, record);
  const { deletionPolicy } = lifeOf(object);
  const end = deletionPolicy === 'Delete' ? 'is deleted with it, data included' : 'stays without it';
  work.reporter.line(
    `${found ? 'There is an object' : 'An object is made of the plane'}: the plane ${end} (deletionPolicy: ${deletionPolicy}).`,
  );
  for (const change of changes) work.reporter.line(`will change: ${change}`);
  if (!options.yes && (changes.length > 0 || deletionPolicy === 'Delete'))
    await confirm(
      `let the plane in namespace "${namespace}" follow its object`,
      'The operator makes it what the object says.',
    );
  const uid = async () => (found ?? (await makeObject(cluster, object))).metadata.uid!;
  await adoptPlane(cluster, { uid, agreed: record, ...work });
  await askForLook(cluster, work);
  work.reporter.line(
    `The plane follows its object now: kubectl -n ${namespace} get hcp. To end that: k8sk8s release -n ${namespace}`,
  );
}

async function readObject(cluster: InfraCluster): Promise<HostedControlPlane | undefined> {
  return cluster.get<HostedControlPlane>(kind, hostedControlPlaneName).catch((error: unknown) => {
    throw explainCallError(error, `read the HostedControlPlane of namespace "${cluster.namespace}"`);
  });
}

async function makeObject(cluster: InfraCluster, object: HostedControlPlane): Promise<HostedControlPlane> {
  return cluster.create(object).catch((error: unknown) => {
    throw explainCallError(error, `make the HostedControlPlane of namespace "${cluster.namespace}"`);
  });
}

/** The operator would find out within 5 minutes. */
async function askForLook(cluster: InfraCluster, { reporter }: Work): Promise<void> {
  const annotations = { [lookAnnotation]: new Date().toISOString() };
  await cluster.merge(kind, hostedControlPlaneName, { metadata: { annotations } }).catch(() => {
    reporter.line('The operator looks at it within 5 minutes: you may not change the object.');
  });
}
