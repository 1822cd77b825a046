import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectInfra } from '../../src/kube/connect.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { PlaneWatch } from '../../src/operator/plane-watch.ts';
import { labelsOf } from '../../src/plane/names.ts';
import { until as untilThere } from '../until.ts';
import { type Delegate, newNamespace } from './world.ts';

/* What the operator notices of a plane's objects, by watches that carry no Secret. Most kinds have no object here. */

const planeId = 'plane-watched';
const noticed: string[] = [];
let team: Delegate;
let watch: PlaneWatch;

const secret = (name: string, id = planeId) =>
  ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, labels: labelsOf(id, 'certificates', '1.37.2') },
    stringData: { key: 'secret words' },
  }) as KubeObject;

const deployment = (name: string) =>
  ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: labelsOf(planeId, 'kube-scheduler', '1.37.2') },
    spec: {
      replicas: 1,
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'a' }] } },
    },
  }) as KubeObject;

const news = () => noticed.filter((what) => !what.includes('probe'));
const until = (seen: () => boolean) => untilThere(seen, { said: () => `noticed: ${noticed.join(', ') || 'nothing'}` });

/** Until the watch of this kind has come to what is written now. */
async function untilSeen(path: string, kind: string): Promise<void> {
  const count = () => noticed.filter((what) => what.startsWith(`${kind} probe was changed`)).length;
  const before = count();
  let changes = 0;
  await untilThere(async () => {
    await patch(path, { metadata: { annotations: { probe: String(++changes) } } });
    return count() > before;
  });
}

/** As another program than k8sk8s. */
const patch = (path: string, body: object, fieldManager = 'kubectl-edit') =>
  team.admin.transport.request({
    method: 'PATCH',
    path,
    query: { fieldManager },
    body,
    contentType: 'application/merge-patch+json',
  });
const secretPath = (name: string) => `/api/v1/namespaces/${team.name}/secrets/${name}`;
const deploymentPath = (name: string) => `/apis/apps/v1/namespaces/${team.name}/deployments/${name}`;

beforeAll(async () => {
  team = await newNamespace();
  await team.admin.apply(secret('kube-apiserver'));
  await team.admin.apply(secret('of-another-plane', 'plane-other'));
  await team.admin.apply(secret('probe'));
  for (const name of ['kube-scheduler', 'probe']) await team.admin.apply(deployment(name));
  watch = new PlaneWatch(connectInfra(team.admin.transport.connection, team.name), planeId, (what) =>
    noticed.push(what),
  );
  await watch.extend();
  // Of each kind that these tests change there is a watch by now.
  await untilSeen(secretPath('probe'), 'Secret');
  await untilSeen(deploymentPath('probe'), 'Deployment');
});

afterAll(() => watch.close());

test('what was there when it began, and what k8sk8s itself writes, is no drift', async () => {
  await team.admin.apply({ ...secret('kube-apiserver'), stringData: { key: 'new' } } as KubeObject);
  await team.admin.apply(secret('made-later'));
  await patch(secretPath('of-another-plane'), { metadata: { annotations: { a: 'b' } } });
  await untilSeen(secretPath('probe'), 'Secret');
  expect(news()).toEqual([]);
  expect(watch.broken).toBe(false);
});

test('a Secret that somebody changes or deletes is noticed, and its words are not', async () => {
  await patch(secretPath('kube-apiserver'), { stringData: { key: 'forged' } });
  await until(() => noticed.some((what) => /^Secret kube-apiserver was changed by kubectl-edit/.test(what)));
  await team.admin.delete({ apiVersion: 'v1', kind: 'Secret' }, 'made-later');
  await until(() => noticed.includes('Secret made-later was deleted'));
  expect(noticed.join()).not.toContain('forged');
});

test('what is changed by /scale is noticed, and what a controller reports is not', async () => {
  const path = deploymentPath('kube-scheduler');
  noticed.length = 0;
  await patch(`${path}/status`, { status: { observedGeneration: 7 } }, 'some-controller');
  await patch(`${path}/scale`, { spec: { replicas: 3 } }, 'kubectl');
  await until(() => news().length > 0);
  expect(news()).toEqual([expect.stringMatching(/^Deployment kube-scheduler was changed by kubectl at/)]);
});
