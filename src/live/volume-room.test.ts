import { expect, test } from 'vitest';
import { nearestSize, roomIn } from './volume-room.ts';

const gibibyte = 2 ** 30;
const range = (bounds: object) => ({ spec: { limits: [{ type: 'PersistentVolumeClaim', ...bounds }] } }) as never;
const quota = (hard: Record<string, string>, used: Record<string, string> = {}) =>
  ({ status: { hard, used } }) as never;

test('nothing limits a volume but what etcd needs', () => {
  expect(roomIn([], [], 1, 'fast')).toEqual({ least: gibibyte, most: Number.POSITIVE_INFINITY });
});

test('P1: a LimitRange bounds a claim from both sides', () => {
  const room = roomIn([range({ min: { storage: '2Gi' }, max: { storage: '3Gi' } })], [], 1, 'fast');
  expect(room).toEqual({ least: 2 * gibibyte, most: 3 * gibibyte });
});

test('P1: a quota is shared by the members, and the quota of the class counts too', () => {
  expect(roomIn([], [quota({ 'requests.storage': '10Gi' }, { 'requests.storage': '4Gi' })], 3, 'fast').most).toBe(
    2 * gibibyte,
  );
  const ofClass = quota({ 'fast.storageclass.storage.k8s.io/requests.storage': '4Gi' });
  expect(roomIn([], [ofClass], 1, 'fast').most).toBe(4 * gibibyte);
  expect(roomIn([], [ofClass], 1, 'slow').most).toBe(Number.POSITIVE_INFINITY);
});

test.each([
  [5, 1, 2, '2Gi'],
  [5, 1, 2.5, '2Gi'],
  [5, 1, 1.5, '1Gi'],
  [1, 3.5, 100, '4Gi'],
  [5, 1.2, 1.8, '1843Mi'],
])('of %d Gi wanted, between %d and %d Gi, %s is nearest', (wanted, least, most, size) => {
  expect(nearestSize(wanted * gibibyte, { least: least * gibibyte, most: most * gibibyte })).toBe(size);
});

test('where nothing fits, nothing is proposed', () => {
  expect(nearestSize(5 * gibibyte, { least: gibibyte, most: gibibyte / 2 })).toBeUndefined();
});
