import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import { isOfSameMoment, untilUndisturbed } from '../../src/drift/same-moment.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject, Workload } from '../../src/kube/objects.ts';
import { applyAll, Existing, noteApplied, nothingApplied } from '../../src/live/apply.ts';
import { differences } from '../../src/live/differences.ts';
import { renderPlane } from '../../src/plane/render.ts';
import { findReplacements } from '../../src/rollout/replacements.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { fixedPlane } from '../golden/plane.ts';
import { soon } from '../until.ts';
import { type Delegate, newNamespace, request } from './world.ts';

// What deploy and diff say of objects that others write to as well, at the same moment.

const object = (color: string) =>
  ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shared' }, data: { color } }) as KubeObject;

/** A dry run as diff makes it, while somebody else writes between the look and the dry run of the first `disturbed` tries. */
async function tryApply(cluster: InfraCluster, color: string, disturbed: number) {
  await cluster.apply(object('red'));
  let tries = 0;
  const attempt = async () => {
    const before = await cluster.get(object(color), 'shared');
    if (++tries <= disturbed) await cluster.merge(object(color), 'shared', { metadata: { annotations: note(tries) } });
    return { before, after: await cluster.apply(object(color), { dryRun: true }) };
  };
  const last = await untilUndisturbed(attempt, (tried) => isOfSameMoment(tried.before, tried.after));
  return { ...last, tries };
}

const note = (tries: number) => ({ note: `theirs, ${tries}` });

test('what somebody else writes between the look and the dry run is seen before and after, so it is no difference', async () => {
  const { cluster } = await newNamespace();
  const { before, after, tries } = await tryApply(cluster, 'blue', 1);
  expect(tries).toBe(2);
  expect(before?.metadata.annotations).toEqual(note(1));
  expect(after).toMatchObject({ metadata: { annotations: note(1) }, data: { color: 'blue' } });
});

test('an object that never comes to rest is looked at all the same', async () => {
  const { cluster } = await newNamespace();
  const { after, tries } = await tryApply(cluster, 'red', Number.POSITIVE_INFINITY);
  expect(after.metadata.annotations).toEqual(note(tries));
});

test('deploy says of an object that it changed it when it did, not when somebody else wrote in between', async () => {
  const { cluster } = await newNamespace();
  const judged = async (color: string, theirs?: object) => {
    const before = await cluster.get(object(color), 'shared');
    if (theirs) await cluster.merge(object(color), 'shared', theirs);
    const applied = nothingApplied();
    noteApplied(applied, before, await cluster.apply(object(color)), quietReporter);
    return Object.entries(applied).flatMap(([verb, names]) => (names.length > 0 ? [verb] : []));
  };
  expect(await judged('red')).toEqual(['created']);
  expect(await judged('red')).toEqual(['unchanged']);
  expect(await judged('red', { metadata: { annotations: { note: 'theirs' } } })).toEqual(['unchanged']);
  // The server notes the time of an apply in seconds.
  await sleep(1100);
  expect(await judged('blue', { metadata: { annotations: { note: 'again' } } })).toEqual(['changed']);
  await cluster.merge(object('blue'), 'shared', { data: { color: 'theirs' } });
  expect(await judged('blue')).toEqual(['changed']);
});

/** A MutatingAdmissionPolicy of the infra administrator for the workloads of one namespace. */
async function changedByPolicy({ name, admin }: Delegate): Promise<void> {
  const apiVersion = 'admissionregistration.k8s.io/v1';
  const at = `/apis/${apiVersion}`;
  const mirrored = `[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image",
    value: "mirror.test/" + object.spec.template.spec.containers[0].image}]`;
  const added = `Object{spec: Object.spec{template: Object.spec.template{
    metadata: Object.spec.template.metadata{annotations: {"policy.test/seen": "yes"}},
    spec: Object.spec.template.spec{containers: [
      Object.spec.template.spec.containers{name: object.spec.template.spec.containers[0].name,
        resources: Object.spec.template.spec.containers.resources{requests: {"cpu": "77m"}}},
      Object.spec.template.spec.containers{name: "sidecar", image: "sidecar.test/proxy:1"}]}}}}`;
  await request(admin, 'POST', `${at}/mutatingadmissionpolicies`, {
    apiVersion,
    kind: 'MutatingAdmissionPolicy',
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: ['apps'],
            apiVersions: ['v1'],
            operations: ['CREATE', 'UPDATE'],
            resources: ['deployments', 'statefulsets'],
          },
        ],
      },
      matchConditions: [
        { name: 'once', expression: '!object.spec.template.spec.containers[0].image.startsWith("mirror.test/")' },
      ],
      mutations: [
        { patchType: 'JSONPatch', jsonPatch: { expression: mirrored } },
        { patchType: 'ApplyConfiguration', applyConfiguration: { expression: added } },
      ],
    },
  });
  await request(admin, 'POST', `${at}/mutatingadmissionpolicybindings`, {
    apiVersion,
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name },
    spec: {
      policyName: name,
      matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } },
    },
  });
}

test('what a policy makes of a workload (image, resources, annotations, a sidecar) is no difference the next time', async () => {
  const delegate = await newNamespace();
  const { cluster } = delegate;
  await changedByPolicy(delegate);
  const plane = await fixedPlane(parseSpec({ host: 'k.example.com' }, 'test'));
  const { planeId } = plane.record;
  const { workloads } = renderPlane(plane);
  const all = Object.values(workloads);
  const imageOf = async () =>
    (await cluster.apply<Workload>(workloads['kube-scheduler'], { dryRun: true })).spec.template.spec.containers[0]!
      .image;
  await expect.poll(imageOf, soon).toMatch(/^mirror\.test\//);

  const deploy = async (objects: KubeObject[]) => {
    const applied = nothingApplied();
    await applyAll(cluster, planeId, objects, await Existing.read(cluster), applied, quietReporter);
    return applied;
  };
  expect((await deploy(all)).created).toHaveLength(4);
  for (const { kind, metadata } of all) {
    const live = (await cluster.get<Workload>({ apiVersion: 'apps/v1', kind }, metadata.name))!;
    expect(live.spec.template.spec.containers.map(({ name }) => name)).toContain('sidecar');
    expect(live.spec.template.metadata?.annotations).toMatchObject({ 'policy.test/seen': 'yes' });
  }
  await sleep(1100);
  for (let again = 0; again < 2; again++) {
    const existing = await Existing.read(cluster);
    expect(await findReplacements(cluster, planeId, { workloads, secrets: [] }, existing)).toEqual([]);
    for (const workload of all) {
      const live = existing.find<Workload>(workload)!;
      expect(differences(live, await cluster.apply(workload, { dryRun: true })), workload.metadata.name).toEqual([]);
    }
    expect(await deploy(all)).toMatchObject({ created: [], changed: [] });
  }
  // A change of the person's own is one all the same.
  const asked = renderPlane({ ...plane, spec: parseSpec({ host: 'k.example.com', schedulerArgs: ['v=3'] }, 'test') });
  expect((await deploy(Object.values(asked.workloads))).changed).toEqual(['deployment "kube-scheduler"']);
});
