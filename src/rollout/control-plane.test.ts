import { expect, test } from 'vitest';
import { fixedPlane } from '../../test/golden/plane.ts';
import { parseSpec } from '../config/parse.ts';
import type { ContainerStatus, Pod, Workload } from '../kube/objects.ts';
import { Existing } from '../live/apply.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { labelsOf } from '../plane/names.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { renderPlane } from '../plane/render.ts';
import { templateHash, templateHashOf } from '../plane/workloads.ts';
import { refuseDataLoss } from './control-plane.ts';

const spec = parseSpec({ host: 'k.example.com', etcdStorage: 'ephemeral' }, 'in a test');
const ran: Partial<ContainerStatus> = { restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } } };
const neverRan: Partial<ContainerStatus> = { restartCount: 0, state: { waiting: { reason: 'ImagePullBackOff' } } };

interface Case {
  record?: Partial<PlaneRecord>;
  /** Of the StatefulSet. */
  ready?: number;
  /** Of etcd's container. */
  status?: Partial<ContainerStatus>;
  /** Left out: of another template than is wanted. */
  hash?: string;
  pod?: Partial<Pod['metadata']> | 'none';
}

/** Whether a deploy that wants this etcd would take the pod that is there, and is refused. */
async function refusal({ record, ready = 0, status = ran, hash = 'another', pod = {} }: Case): Promise<unknown> {
  const plane = await fixedPlane(spec, 'available');
  const { etcd } = renderPlane(plane).workloads;
  const store = new InfraStore();
  store.put('statefulsets/etcd', { ...etcd, status: { readyReplicas: ready } } as Workload);
  const metadata = {
    name: 'etcd-0',
    labels: labelsOf(plane.record.planeId, 'etcd', ''),
    annotations: { [templateHash]: hash },
  };
  const running = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, ...(pod === 'none' ? {} : pod) },
    spec: { containers: [] },
  };
  const containerStatuses = [{ name: 'etcd', ready: ready > 0, ...status }];
  if (pod !== 'none') store.put('pods/etcd-0', { ...running, status: { phase: 'Running', containerStatuses } } as Pod);
  const refused = refuseDataLoss(
    store.cluster,
    { ...plane.record, ...record },
    etcd,
    await Existing.read(store.cluster),
  );
  return refused.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test.each<[string, Case]>([
  ['that is Ready', { ready: 1, status: { restartCount: 0, state: { running: {} } } }],
  ['that is not Ready, for its data outlives its container', {}],
  [
    'of a first deploy that was interrupted after the API answered',
    { record: { phase: 'deploying', hostedUid: 'uid' } },
  ],
  ['of a first deploy, when it is Ready', { record: { phase: 'deploying' }, ready: 1 }],
])('an ephemeral etcd %s is not replaced unless that is agreed to', async (_, given) => {
  expect(await refusal(given)).toMatchObject({ anchor: 'data-loss', kind: 'refused' });
});

test.each<[string, Case]>([
  ['there is none', { pod: 'none' }],
  ['it goes already', { pod: { deletionTimestamp: '2026-01-01T00:00:00Z' } }],
  ['its etcd has never run', { status: neverRan }],
  ['nothing has answered yet', { record: { phase: 'deploying' } }],
])('nothing is lost with the pod where %s', async (_, given) => {
  expect(await refusal(given)).toBeUndefined();
});

test('a pod of the wanted template stays, whatever its StatefulSet says', async () => {
  const { etcd } = renderPlane(await fixedPlane(spec, 'available')).workloads;
  expect(await refusal({ hash: templateHashOf(etcd) })).toBeUndefined();
});
