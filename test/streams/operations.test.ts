import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpecInput } from '../../src/config/schema.ts';
import { readRecord } from '../../src/live/record.ts';
import { deploy } from '../../src/operations/deploy/deploy.ts';
import { sleepPlane, wakePlane } from '../../src/operations/sleep.ts';
import { upgrade } from '../../src/operations/upgrade/upgrade.ts';
import type { PlaneRecord } from '../../src/plane/record.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import type { Work } from '../../src/ui/work.ts';
import { Player } from './player.ts';
import type { Tape } from './tape.ts';

// Operations against what a real infra API did: docs/testing.md says how the tapes of recorded/ are made.

/** How a run ended, what it told and asked, and the plane's record afterwards. */
interface Played {
  error: unknown;
  lines: string[];
  requests: string[];
  record: PlaneRecord | undefined;
}

async function played(name: string, run: (player: Player, work: Work) => Promise<unknown>): Promise<Played> {
  const tape = JSON.parse(readFileSync(new URL(`recorded/${name}.json`, import.meta.url), 'utf8')) as Tape;
  const player = await Player.start(tape);
  const clock = vi.spyOn(performance, 'now').mockImplementation(player.now);
  const lines: string[] = [];
  const reporter = { ...quietReporter, line: (text: string) => void lines.push(text) };
  const work = { reporter, timeout: 120_000, signal: new AbortController().signal };
  try {
    const error = await Promise.race([run(player, work), player.stuck]).then(
      () => undefined,
      (error: unknown) => error,
    );
    const requests = [...player.requests];
    return { error, lines, requests, record: await readRecord(player.cluster) };
  } finally {
    await player.stop();
    clock.mockRestore();
  }
}

const deployed =
  (input: Partial<ClusterSpecInput> = {}) =>
  ({ cluster, port }: Player, work: Work) =>
    deploy(cluster, {
      ...work,
      allowDataLoss: false,
      choose: (recorded) =>
        parseSpec(
          { ...(recorded?.spec ?? { host: 'localhost', port }), ...input, allowUntestedVersion: true },
          'in a test',
        ),
    });

/** Whether these stand in this order among all that was told. */
const inOrder = (told: string[], wanted: string[]) => told.filter((each) => wanted.includes(each));

const started = [
  'statefulset "etcd" created',
  'deployment "kube-apiserver" created',
  'deployment "kube-scheduler" created',
];

vi.setConfig({ testTimeout: 60_000 });

test('deploy: each component starts when the one before it is there', async () => {
  const { error, lines, record } = await played('deploy', deployed());
  expect(error).toBeUndefined();
  expect(inOrder(lines, started)).toEqual(started);
  expect(record?.phase).toBe('available');
});

test('deploy: a watch of the pods that breaks off is opened again from a list, and nothing is missed', async () => {
  const { error, requests, record } = await played('watch-cut', deployed());
  expect(error).toBeUndefined();
  expect(record?.phase).toBe('available');
  expect(requests.filter((each) => each === 'WATCH pods').length).toBeGreaterThanOrEqual(3);
});

test('deploy: an image that cannot be pulled ends the wait, and is named', async () => {
  const { error, record } = await played('image-pull', deployed({ imageRegistry: 'registry.invalid' }));
  expect(error).toMatchObject({ anchor: 'image-pull' });
  expect(String(error)).toContain('registry.invalid/etcd');
  expect(record?.phase).toBe('deploying');
});

test('deploy: an API server that ends by a wrong flag is quoted', async () => {
  const { error, lines } = await played('crash-loop', deployed({ apiServerArgs: ['no-such-flag=1'] }));
  expect(error).toMatchObject({ anchor: 'crash-loop' });
  expect(String(error)).toContain('kube-apiserver');
  expect(String(error)).toContain('--no-such-flag');
  expect(lines).not.toContain('deployment "kube-scheduler" created');
});

test('deploy: a pod that the quota refuses is told with the quota', async () => {
  const { error } = await played('quota', deployed());
  expect(error).toMatchObject({ anchor: 'pod-refused' });
  expect(String(error)).toContain('exceeded quota: small');
});

test('deploy: a pod for which there is no node ends the wait with the scheduler’s words', async () => {
  const { error } = await played('unschedulable', deployed({ nodeSelector: { 'k8sk8s.test/place': 'nowhere' } }));
  expect(error).toMatchObject({ anchor: 'unschedulable' });
  expect(String(error)).toContain('nodes are available');
});

test('deploy: a changed option is tried beside the plane, and then rolled out', async () => {
  const { error, requests, lines, record } = await played('change', deployed({ apiServerArgs: ['v=1'] }));
  expect(error).toBeUndefined();
  const steps = ['POST pods', 'PATCH deployments/kube-apiserver', 'DELETE pods/k8sk8s-trial'];
  expect(inOrder(requests, steps)).toEqual(['DELETE pods/k8sk8s-trial', steps[0], steps[2], steps[1]]);
  expect(lines).toContain('deployment "kube-apiserver" configured');
  expect(lines).not.toContain('statefulset "etcd" configured');
  expect(record?.spec.apiServerArgs).toEqual(['v=1']);
});

test('deploy: a changed option that the API server does not know costs the plane nothing', async () => {
  const { error, requests, record } = await played('change-refused', deployed({ apiServerArgs: ['no-such-flag=1'] }));
  expect(error).toMatchObject({ anchor: 'change-refused' });
  expect(String(error)).toContain('--no-such-flag');
  expect(requests.filter((each) => /^(PATCH|PUT|DELETE) (deployments|statefulsets)\/[^ ]+$/.test(each))).toEqual([]);
  expect(record?.spec.apiServerArgs).toEqual([]);
});

test('upgrade: an API server that does not run takes it back to where it was', async () => {
  const { error, record } = await played('upgrade-back', ({ cluster }, work) =>
    upgrade(cluster, { ...work, to: '1.37.8', allowUntested: true, observe: 1, decide: () => undefined }),
  );
  expect(error).toMatchObject({ anchor: 'upgrade-rolled-back' });
  expect(String(error)).toContain('this one does not work');
  expect(record?.spec.kubernetesVersion).toBe('1.37.2');
});

test('sleep: etcd’s pod ends last', async () => {
  const { error, requests, record } = await played('sleep', ({ cluster }, work) => sleepPlane(cluster, work));
  expect(error).toBeUndefined();
  const scaled = requests.filter((each) => /^PATCH (deployments|statefulsets)/.test(each));
  expect(scaled.indexOf('PATCH statefulsets/etcd')).toBe(3);
  expect(record?.asleep?.replicas).toMatchObject({ etcd: 1, 'kube-apiserver': 1 });
});

test('wake: each component starts when the one before it is there', async () => {
  const { error, requests, record } = await played('wake', ({ cluster }, work) => wakePlane(cluster, work));
  expect(error).toBeUndefined();
  const scaled = ['statefulsets/etcd', 'deployments/kube-apiserver', 'deployments/kube-scheduler'].map(
    (each) => `PATCH ${each}`,
  );
  expect(inOrder(requests, scaled)).toEqual(scaled);
  expect(record?.asleep).toBeUndefined();
});
