import { expect, test } from 'vitest';
import { fixedPlane } from '../../test/golden/plane.ts';
import { parseSpec } from '../config/parse.ts';
import type { ClusterSpecInput } from '../config/schema.ts';
import type { KubeObject, Secret, Workload } from '../kube/objects.ts';
import { Existing, nothingApplied } from '../live/apply.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { labelsOf } from '../plane/names.ts';
import { type RenderedPlane, renderPlane } from '../plane/render.ts';
import { isStartFiles, startFilesOf, withStartFiles } from '../plane/start-files.ts';
import { quietReporter } from '../ui/quiet.ts';
import { applySecrets, tidyStartFiles } from './roll-out.ts';

const planeId = 'plane-0123456789';

async function rendered(input: Partial<ClusterSpecInput> = {}): Promise<RenderedPlane> {
  return renderPlane(await fixedPlane(parseSpec({ host: 'k.example.com', ...input }, 'a test'), 'available'));
}

const quieter = {
  auditPolicy: { apiVersion: 'audit.k8s.io/v1', kind: 'Policy' as const, rules: [{ level: 'Metadata' }] },
};
const startFilesIn = (store: InfraStore) =>
  [...store.objects.values()].filter(isStartFiles).map(({ metadata }) => metadata.name);
const nameIn = ({ secrets }: RenderedPlane) =>
  secrets.find(({ metadata }) => metadata.labels?.[startFilesOf] === 'kube-apiserver')!.metadata.name;

function putApiServer(store: InfraStore, { workloads }: RenderedPlane): Workload {
  const workload = workloads['kube-apiserver'];
  store.put('deployments/kube-apiserver', workload);
  return workload;
}

function putPod(store: InfraStore, { spec }: Workload, name: string, ends = false): void {
  const metadata = {
    name,
    labels: labelsOf(planeId, 'kube-apiserver', ''),
    ...(ends && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
  };
  store.put(`pods/${name}`, { apiVersion: 'v1', kind: 'Pod', metadata, spec: spec.template.spec } as KubeObject);
}

async function change(store: InfraStore, to: RenderedPlane, roll: () => void): Promise<void> {
  const { cluster } = store;
  const existing = await Existing.read(cluster);
  await applySecrets(cluster, planeId, to.secrets, existing, nothingApplied(), quietReporter);
  roll();
  await tidyStartFiles(cluster, planeId, to.secrets, existing, quietReporter);
}

function storeWith(secrets: Secret[]): InfraStore {
  const store = new InfraStore();
  for (const secret of secrets) store.put(`secrets/${secret.metadata.name}`, secret);
  return store;
}

test('start files stay while a pod that may be made again mounts them, and go after it', async () => {
  const [before, after] = [await rendered(), await rendered(quieter)];
  const store = storeWith(before.secrets);
  putPod(store, putApiServer(store, before), 'old');
  // The new pod does not come up: the old one may be made again.
  await change(store, after, () => putApiServer(store, after));
  expect(startFilesIn(store)).toEqual(expect.arrayContaining([nameIn(before), nameIn(after)]));
  await change(store, after, () => putPod(store, after.workloads['kube-apiserver'], 'old', true));
  expect(startFilesIn(store)).not.toContain(nameIn(before));
  expect(startFilesIn(store)).toContain(nameIn(after));
});

test('the files of a plane of 0.1.0 stay where its pods read them until none of them is left', async () => {
  const now = await rendered(quieter);
  const old = await rendered();
  const store = storeWith(withStartFiles(old.secrets, old.workloads['kube-apiserver']));
  const files = () => Object.keys(store.get<Secret>('secrets/kube-apiserver')!.data!);
  const workload = structuredClone(old.workloads['kube-apiserver']);
  Object.assign(workload.spec.template.spec, { volumes: [{ name: 'pki', secret: { secretName: 'kube-apiserver' } }] });
  store.put('deployments/kube-apiserver', workload);
  putPod(store, workload, 'old');
  const policyBefore = store.get<Secret>('secrets/kube-apiserver')!.data!['audit-policy.yaml'];
  await change(store, now, () => putApiServer(store, now));
  expect(store.get<Secret>('secrets/kube-apiserver')!.data!['audit-policy.yaml']).toBe(policyBefore);
  await change(store, now, () => putPod(store, now.workloads['kube-apiserver'], 'old'));
  expect(files()).not.toContain('audit-policy.yaml');
  expect(files()).toContain('apiserver.crt');
});
