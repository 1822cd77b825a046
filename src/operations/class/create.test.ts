import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { UserError } from '../../base/errors.ts';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { ApiError } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { recordPath } from '../../live/plane.fixture.ts';
import { toConfigMap } from '../../plane/record.ts';
import { quietReporter } from '../../ui/quiet.ts';
import { roomToWake } from './capacity.ts';
import { type ClassRequest, createClass } from './create.ts';
import { demandAll, type Lesson } from './queue.ts';
import { classStatus } from './status.ts';

// What one student's plane has in it that cannot be used must not keep the others from theirs.

const student = (name: string) => ({ name, namespace: `x-${name}`, host: `${name}.test` });
const [anna, bob] = [student('anna'), student('bob')];

function lessonOf(store: InfraStore): { lesson: Lesson; told: string[] } {
  const told: string[] = [];
  const board = {
    tell: (name: string, state: string) => void told.push(`${name} ${state}`),
    reporterOf: () => quietReporter,
  };
  const signal = new AbortController().signal;
  return { told, lesson: { cluster: store.cluster, parallel: 2, board, timeout: 300, signal } };
}

const noSuchValue = () => {
  throw new UserError({ what: 'no such value', anchor: 'bad-values', kind: 'usage' });
};

/** A quota in the namespace of the store, and a student there. */
const cleo = { ...student('cleo'), namespace: 'team' };
const smallQuota = {
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name: 'small' },
  status: { hard: { pods: '3' }, used: { pods: '1' } },
} as KubeObject;

/** A request for objects that the operator follows, which is asked for nothing besides. */
const request = (specs: Record<string, () => ClusterSpec>, students = [anna, bob]): ClassRequest => ({
  name: 'x',
  students,
  choose: ({ name }) => specs[name]!,
  folder: () => 'none',
  isKnown: () => false,
  byObject: {
    all: true,
    ask: async () => ({ object: {} as KubeObject, created: 1, changed: 0 }),
    wait: async () => ({ server: 'https://there', created: 1, changed: 0 }),
  },
  further: () => [],
  existing: true,
  force: false,
  reporter: quietReporter,
});

const usable = () => parseSpec({ host: 'k.example.com', profile: 'lite' }, 'in a test');

/** Nodes are not for this caller, and the namespaces are somebody else's. */
function delegated(): InfraStore {
  const store = new InfraStore();
  store.before = ({ path }) => {
    if (/^\/api\/v1\/(nodes|pods|namespaces\/[^/]+)$/.test(path))
      throw new ApiError({ status: 403, reason: 'Forbidden', message: 'User "t" cannot get resource "nodes"' });
  };
  return store;
}

test('a student whose options cannot be used is told of, and the others get their planes', async () => {
  const { lesson, told } = lessonOf(delegated());
  const outcomes = await createClass(lesson, request({ anna: noSuchValue, bob: usable }));
  expect(outcomes[0]).toMatchObject({ student: anna, error: refused('bad-values') });
  expect(outcomes[1]).toMatchObject({ student: bob, result: { created: 1 } });
  expect(told).toContain('anna refused');
  expect(told).toContain('bob created');
});

test('options that cannot be used for anybody are refused once, and nothing is begun', async () => {
  const { lesson, told } = lessonOf(delegated());
  const made = createClass(lesson, request({ anna: noSuchValue, bob: noSuchValue }));
  await expect(made).rejects.toEqual(refused('bad-values', 'anna'));
  expect(told).toEqual([]);
});

test('a student whose quota is too small is told of, in status too, and the others get their planes', async () => {
  const store = delegated();
  store.put('resourcequotas/small', smallQuota);
  const { lesson, told } = lessonOf(store);
  const both = request({ cleo: usable, bob: usable }, [cleo, bob]);
  const [first, second] = await createClass(lesson, both);
  expect(first).toMatchObject({ student: cleo, error: refused('quota', 'small', 'team') });
  expect(second).toMatchObject({ student: bob, result: { created: 1 } });
  expect(told).toContain('cleo refused');
  const [of] = await classStatus(lesson, [cleo]);
  expect(of).toMatchObject({ state: 'missing', healthy: false, problems: [refused('quota', 'small')] });
  const forced = await createClass(lesson, { ...both, force: true });
  expect(forced[0]).toMatchObject({ student: cleo, result: { created: 1 } });
});

test('quotas that are too small for everybody: nothing is made', async () => {
  const store = delegated();
  store.put('resourcequotas/small', smallQuota);
  const { lesson, told } = lessonOf(store);
  const outcomes = await createClass(lesson, request({ cleo: usable }, [cleo]));
  expect(() => demandAll(outcomes, 'are not there')).toThrow(refused('quota', 'small'));
  expect(told).toEqual(['cleo refused']);
  expect(store.requests.filter((each) => !each.startsWith('GET'))).toEqual([]);
});

test('a sleeping plane whose record cannot be used does not keep the others asleep', async () => {
  const store = delegated();
  const record = toConfigMap({
    planeId: 'plane-0123456789',
    toolVersion: '0.1.0',
    issuers: [],
    phase: 'available',
    asleep: { since: '2026-11-30T12:00:00Z', replicas: {} },
    spec: { host: 'no host' },
  });
  store.put(recordPath, record);
  const { lesson } = lessonOf(store);
  await expect(roomToWake(lesson, [{ ...anna, namespace: 'team' }, bob])).resolves.toBeUndefined();
});

test('files of a plane of this class that is gone do not keep the next one from being made; files of others stay', async () => {
  const { lesson } = lessonOf(delegated());
  const dir = mkdtempSync(path.join(tmpdir(), 'class-'));
  const file = path.join(dir, 'kubeconfig');
  writeFileSync(file, 'of a plane that is gone');
  const create = (known: boolean) =>
    createClass(lesson, { ...request({ bob: usable }, [bob]), folder: () => dir, isKnown: () => known });
  await create(false);
  expect(existsSync(file)).toBe(true);
  await create(true);
  expect(existsSync(file)).toBe(false);
});
