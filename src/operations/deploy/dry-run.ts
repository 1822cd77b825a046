import { dump } from 'js-yaml';
import { toolVersion } from '../../base/version.ts';
import { type Words, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { planInfra } from '../../drift/infra-plan.ts';
import { buildAddons } from '../../hosted/addons/addons.ts';
import type { WorkerPlan } from '../../hosted/worker-pods/plan.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { KubeObject, Secret, Service } from '../../kube/objects.ts';
import { type Applied, Existing } from '../../live/apply.ts';
import { chooseStorage } from '../../live/choose-storage.ts';
import { readRecord } from '../../live/record.ts';
import { readOpened, sealingOf } from '../../live/sealed-ca.ts';
import { ensureCertificates } from '../../pki/certificates.ts';
import {
  type Addresses,
  addressesAsIf,
  addressesOf,
  konnectivityPort,
  loadBalancerPlaceholder,
  memberService,
} from '../../plane/addresses.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import { certificateContext, renderPlane } from '../../plane/render.ts';
import { runPreflight } from '../../preflight/deploy-checks.ts';
import { findWebhook } from '../../rollout/prepare.ts';
import type { Replacement } from '../../rollout/replacements.ts';
import type { Reporter } from '../../ui/reporter.ts';
import { type Move, moveOver } from './move.ts';

/**
 * What deploy would do, asked of the infra cluster by server-side dry run: nothing is stored. Addresses that do not exist
 * yet are the ones that the cluster would have given now; deploy may get others.
 */
export async function dryRun(
  cluster: InfraCluster,
  spec: ClusterSpec,
  reporter: Reporter,
  webhookKubeconfig?: string,
): Promise<Plan> {
  await runPreflight(cluster, spec, reporter);
  const { asleep: _, ...record } = (await readRecord(cluster)) ?? newRecord(spec);
  const { move, ...hosts } = moveOver(record, spec);
  const wanted = { ...record, ...hosts, spec, toolVersion: toolVersion() };
  const { applied, replaced, workers } = await planInfra(cluster, wanted, spec, webhookKubeconfig);
  return { applied, replaced, workers, move };
}

/** What deploy would do in the infra cluster. */
export interface Plan {
  applied: Applied;
  replaced: Replacement[];
  workers: WorkerPlan;
  /** Another address for workers and people, which is asked for with `--yes`. */
  move?: Move;
}

export interface Export {
  /** Multi-document YAML: the infra cluster's objects, then the hosted cluster's. */
  infra: string;
  hosted: string;
  /** Placeholders that stand for addresses which do not exist yet. */
  placeholders: { placeholder: string; meaning: Words }[];
}

/** The plane as manifests. Secrets are left out unless asked for, and then they need the addresses to exist. */
export async function exportManifests(
  cluster: InfraCluster,
  spec: ClusterSpec,
  withSecrets: boolean,
  webhookKubeconfig?: string,
): Promise<Export> {
  const existing = await Existing.read(cluster);
  const recorded = await readRecord(cluster);
  const { asleep: _, ...record } = recorded ?? newRecord(spec);
  const { storage } = await chooseStorage(cluster, spec, existing, recorded);
  const services = existing
    .ofKind<Service>('Service')
    .filter((service) => service.metadata.labels?.['app.kubernetes.io/instance'] === record.planeId);
  const allocated = services.length > spec.etcdMembers;
  const addresses = allocated ? addressesOf(spec, services, record) : placeholderAddresses(spec);
  const { bundle: certified } = await ensureCertificates(
    await readOpened(cluster, existing.ofKind<Secret>('Secret')),
    certificateContext(cluster.namespace, spec, allocated ? addresses : dummyAddresses(addresses)),
    // Where they are left out, nothing is to be sealed.
    { keyType: spec.keyType, sealing: withSecrets || recorded ? sealingOf(spec, cluster) : undefined },
  );
  const webhook = await findWebhook(cluster, spec, [webhookKubeconfig, certified.webhook]);
  const bundle = { ...certified, webhook };
  const infra = renderPlane({ record: { ...record, spec }, spec, addresses, storage, bundle })
    .all()
    .filter(({ kind }) => withSecrets || kind !== 'Secret');
  return {
    infra: documents(
      infra.map((object) => ({ ...object, metadata: { ...object.metadata, namespace: cluster.namespace } })),
    ),
    hosted: documents(buildAddons(spec, addresses, bundle.authorities)),
    placeholders: placeholders(spec, addresses, allocated),
  };
}

function placeholders(spec: ClusterSpec, addresses: Addresses, allocated: boolean): Export['placeholders'] {
  const missing: Export['placeholders'] = allocated
    ? []
    : [
        ...Array.from({ length: spec.etcdMembers }, (_, member) => ({
          placeholder: etcdPlaceholder(member),
          meaning: `clusterIP of service ${memberService(member)}`,
        })),
        { placeholder: apiserverPlaceholder, meaning: 'clusterIP of service apiserver' },
      ];
  if (!allocated && spec.allocateNodePorts && spec.nodePort === undefined)
    missing.push({
      placeholder: String(nodePortPlaceholder),
      meaning: words`nodePort of service apiserver (fix it with ${field('nodePort')})`,
    });
  if (
    !allocated &&
    addresses.konnectivity?.port === konnectivityPort &&
    !['loadbalancer', 'clusterip'].includes(spec.inCluster)
  )
    missing.push({
      placeholder: String(konnectivityPort),
      meaning: words`nodePort of port konnectivity of service apiserver (or give ${field('konnectivityEndpoint')})`,
    });
  if (addresses.advertised.address === loadBalancerPlaceholder)
    missing.push({
      placeholder: loadBalancerPlaceholder,
      meaning: 'address of the load balancer of service apiserver',
    });
  return missing;
}

const etcdPlaceholder = (member: number) => `ETCD${member}_CLUSTER_IP`;
const apiserverPlaceholder = 'APISERVER_CLUSTER_IP';

/** A number, because the manifests need one there; outside of the usual node port range. */
const nodePortPlaceholder = 6443;

function placeholderAddresses(spec: ClusterSpec): Addresses {
  return addressesAsIf(spec, {
    apiserver: apiserverPlaceholder,
    etcd: etcdPlaceholder,
    nodePort: nodePortPlaceholder,
  });
}

/** Certificates cannot carry placeholders; they are not shown in this case. */
function dummyAddresses(addresses: Addresses): Addresses {
  return {
    ...addresses,
    apiserverServiceIp: '127.0.0.1',
    etcdServiceIps: addresses.etcdServiceIps.map(() => '127.0.0.1'),
  };
}

function newRecord(spec: ClusterSpec): PlaneRecord {
  return { planeId: 'plane-new', toolVersion: toolVersion(), spec, issuers: [], phase: 'deploying' };
}

function documents(objects: KubeObject[]): string {
  return objects.map((object) => `---\n${dump(object, { noRefs: true, lineWidth: -1 })}`).join('');
}
