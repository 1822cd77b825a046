import { createHash, randomBytes } from 'node:crypto';
import { parseQuantity } from '../../../base/quantity.ts';
import { command, words } from '../../../base/words.ts';
import { field } from '../../../config/flags.ts';
import { imagesOf } from '../../../config/images.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import { otherImages } from '../../../config/versions.ts';
import type { KubeObject, PersistentVolumeClaim, Pod, Secret, Workload } from '../../../kube/objects.ts';
import { render, type Value } from '../../../manifests/render.ts';
import follower from '../../../programs/log-follower/main.ts?program';
import { labelsOf, planeSelector, podSelector } from '../../names.ts';
import { placement } from '../../placement.ts';
import { containerSecurity, podSecurity } from '../../pod-security.ts';
import { type Measured, presetResources, resourcesOf } from '../../resources.ts';
import { buildClaim, type Storage } from '../../storage.ts';
import { configHash, templateHash } from '../../workloads.ts';
import type { BesidePlane, BesideSource } from '../beside.ts';
import deployment from './deployment.yaml';
import networkPolicy from './network-policy.yaml';

/** Name of the Deployment, of the store's container, of the policy, the claim and the Secret. */
export const logStoreName = 'log-store';

/** Made by templates/rights/logs.yaml, which grants it these rights. */
export const logAccount = {
  name: 'k8sk8s-logs',
  rights: [
    { group: '', resource: 'pods', verbs: ['get', 'list', 'watch'] },
    { group: '', resource: 'pods/log', verbs: ['get'] },
  ],
};

/** Ports in the store's pod: of the store and of what the follower tells, on its loopback; of the kubelet's probes. */
export const logStorePorts = { store: 9428, status: 9491, health: 9490 };

/** Who asks the store shows this name with the password of the Secret. */
export const logStoreUser = 'k8sk8s';

/** What keeps the plane's logs: VictoriaLogs, and what reads the logs of the pods for it (docs/adr/0058-the-log-view.md). */
export const logStore: BesidePlane<typeof logStoreName> = {
  name: logStoreName,
  kind: 'Deployment',
  replicas: ({ logs }) => (logs ? 1 : 0),
  image: (spec) => imagesOf(spec).victoriaLogs,
  containers: [logStoreName, 'log-follower'],
  kinds: [
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', names: [logStoreName], listed: true },
    { apiVersion: 'v1', kind: 'Secret', names: [logStoreName] },
    { apiVersion: 'v1', kind: 'PersistentVolumeClaim', names: [logStoreName], listed: true, holdsData: true },
    { apiVersion: 'apps/v1', kind: 'Deployment', names: [logStoreName], endsFirst: true },
  ],
  objects: buildLogStore,
  secret: (planeId, before) => buildSecret(planeId, passwordIn(before) ?? randomBytes(18).toString('base64url')),
  trialPod: trialLogStore,
  ends: 'after',
  called: { itself: 'what keeps the logs', done: 'The logs are kept', data: 'the logs' },
  statusName: 'logs',
  problem({ name, ready, problem, report }, namespace) {
    const trouble = ready ? report?.trouble : problem || 'its pod is not ready';
    if (!trouble) return undefined;
    const why = `${trouble}; what is written meanwhile waits in the infra nodes' files, which are kept for as long as their pods and some 10 MiB of each`;
    if (report?.full)
      return {
        what: "the plane's logs are not kept now: their volume is full",
        why,
        fix: words`${command('logs enable', namespace, field('logsStorage', 'SIZE'))} gives it more room, where its class lets volumes grow; else begin anew on a larger one: ${command('logs disable', namespace)}, kubectl -n ${namespace} delete pvc ${name}, and the first command`,
        anchor: 'log-store-full',
        severity: 'warning',
      };
    return {
      what: "the plane's logs are not kept now",
      why,
      fix: words`its log is printed by kubectl -n ${namespace} logs deploy/${name} --all-containers; ${command('deploy', namespace)} makes what is missing`,
      anchor: 'log-store-not-ready',
      severity: 'warning',
    };
  },
};

/** As measured after the first deploy: the store 38 MiB, 15 of them its program; the follower 76, of which 42 are Node's own program. */
const storeMeasured: Measured = {
  requests: { cpu: '5m', memory: '48Mi' },
  limits: { cpu: '1', memory: '256Mi' },
  ceiling: { memory: '256Mi' },
};
const followerMeasured: Measured = {
  requests: { cpu: '5m', memory: '64Mi' },
  limits: { cpu: '1', memory: '192Mi' },
  ceiling: { memory: '192Mi' },
};

/** Where nothing else is asked for: of a volume, and of a pod's own folder. */
const usualSize = { volume: '2Gi', ephemeral: '1Gi' };

/** Where the store of a plane with this storage keeps its data. Pure. */
export function logStorageOf({ logsStorage, etcdStorageClass }: ClusterSpec, storage: Storage): Storage {
  const follows = logsStorage === 'auto' && storage.kind === 'ephemeral';
  if (logsStorage === 'ephemeral' || follows) return { kind: 'ephemeral' };
  const storageClass = storage.kind === 'volume' ? storage.storageClass : etcdStorageClass;
  return { kind: 'volume', size: logsStorage === 'auto' ? usualSize.volume : logsStorage, storageClass };
}

/** The claim of a store that keeps its data on a volume; undefined of any other. Pure. */
function buildLogClaim(planeId: string, spec: ClusterSpec, storage: Storage): PersistentVolumeClaim | undefined {
  const own = logStorageOf(spec, storage);
  if (own.kind === 'ephemeral') return undefined;
  const claim = buildClaim(logStoreName, own);
  return { ...claim, metadata: { ...claim.metadata, labels: storeLabels(planeId) } };
}

function buildLogStore({ planeId, spec, storage, asleep }: BesideSource): KubeObject[] {
  const labels = storeLabels(planeId);
  const selector = podSelector(planeId, logStoreName);
  const policies = render(
    networkPolicy,
    {
      name: logStoreName,
      labels,
      selector,
      policyTypes: spec.policyTypes.split(','),
      egress: spec.policyTypes === 'Ingress' ? undefined : [{}],
    },
    'the policy of the log store',
  );
  const claim = buildLogClaim(planeId, spec, storage);
  return [...policies, ...(claim ? [claim] : []), buildDeployment(planeId, spec, storage, asleep ? 0 : 1)];
}

function buildDeployment(planeId: string, spec: ClusterSpec, storage: Storage, replicas: number): Workload {
  const images = imagesOf(spec);
  const labels = storeLabels(planeId);
  const own = logStorageOf(spec, storage);
  const size = own.kind === 'volume' ? own.size : usualSize.ephemeral;
  const [object] = render(
    deployment,
    {
      name: logStoreName,
      labels,
      selector: podSelector(planeId, logStoreName),
      replicas,
      podLabels: { ...spec.podLabels, ...labels },
      podAnnotations: { ...spec.podAnnotations, [configHash]: hashOf(follower) },
      account: logAccount.name,
      podSecurity: podSecurity(spec),
      containerSecurity: containerSecurity(),
      image: images.victoriaLogs,
      nodeImage: images.node,
      user: logStoreUser,
      storePort: logStorePorts.store,
      healthPort: logStorePorts.health,
      statusPort: logStorePorts.status,
      retention: spec.logsRetention,
      // The rest is for what it writes anew before the old goes, and for the file beside it.
      maximumBytes: Math.floor(parseQuantity(size)! * 0.7),
      podsSelector: planeSelector(planeId),
      storeResources: { ...resourcesOf(spec, logStoreName, storeMeasured) } as Value,
      followerResources: { ...presetResources(spec, followerMeasured) } as Value,
      dataVolume: (own.kind === 'volume'
        ? { name: 'data', persistentVolumeClaim: { claimName: logStoreName } }
        : { name: 'data', emptyDir: { sizeLimit: usualSize.ephemeral } }) as Value,
    },
    'the log store',
  ) as Workload[];
  const { template } = object!.spec;
  // It has an account of its own, whose token it needs.
  const { serviceAccountName: _, ...place } = placement(spec);
  Object.assign(template.spec, place);
  template.metadata!.annotations = {
    ...template.metadata!.annotations,
    [templateHash]: hashOf(JSON.stringify(template)),
  };
  return object!;
}

/** Its version is its own: an upgrade of Kubernetes leaves the store as it is. */
function storeLabels(planeId: string): Record<string, string> {
  return labelsOf(planeId, logStoreName, otherImages.victoriaLogs.split(':').at(-1)!);
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** What the store's pod mounts: the follower's program, and the password, which stays what it was. Pure. */
function buildSecret(planeId: string, password: string): Secret {
  const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: logStoreName, labels: storeLabels(planeId) },
    type: 'Opaque',
    data: { 'follower.mjs': base64(follower), password: base64(password) },
  };
}

/** The password in a Secret that was read. Pure. */
export function passwordIn(secret: Secret | undefined): string | undefined {
  const data = secret?.data?.password;
  return data === undefined ? undefined : Buffer.from(data, 'base64').toString('utf8');
}

/** With no volume, which is not there yet. */
function trialLogStore(planeId: string, spec: ClusterSpec): KubeObject {
  const storage: Storage = { kind: 'ephemeral' };
  const objects = buildLogStore({ planeId, spec: { ...spec, logsStorage: 'ephemeral' }, storage });
  const workload = objects.find(({ kind }) => kind === 'Deployment') as Workload;
  const { metadata, spec: pod } = workload.spec.template as Pick<Pod, 'metadata' | 'spec'>;
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: logStoreName }, spec: pod } as KubeObject;
}
