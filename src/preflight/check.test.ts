import { expect, test } from 'vitest';
import { UserError } from '../base/errors.ts';
import { ApiError, isQuotaExceeded } from '../kube/errors.ts';
import { askedOnce, type DeployContext, describeMissingRight, outcomeOf } from './check.ts';

const forbidden = (message: string) => new ApiError({ status: 403, reason: 'Forbidden', message });

test('a missing right is told apart from everything else that is forbidden', () => {
  const rbac =
    'pods is forbidden: User "system:serviceaccount:team:me" cannot create resource "pods" in API group "" in the namespace "team"';
  expect(describeMissingRight(forbidden(rbac))).toBe('you may not create pods');
  const quota = forbidden('pods "etcd" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0');
  expect(describeMissingRight(quota)).toBeUndefined();
  expect(isQuotaExceeded(quota)).toBe(true);
  expect(describeMissingRight(forbidden('admission webhook "w" denied the request: no'))).toBeUndefined();
  expect(describeMissingRight(new Error(rbac))).toBeUndefined();
  expect(isQuotaExceeded(forbidden(rbac))).toBe(false);
});

test("an error's own anchor stays with it, and a bug stays a bug", () => {
  expect(outcomeOf(new UserError({ what: 'no', anchor: 'quota' }))).toMatchObject({ anchor: 'quota' });
  expect(() => outcomeOf(new TypeError('oops'))).toThrow('oops');
});

test('what several checks want to know is asked once for each run', async () => {
  let asked = 0;
  const read = askedOnce(async () => ++asked);
  const [one, two] = [{}, {}] as DeployContext[];
  expect(await Promise.all([read(one!), read(one!), read(two!)])).toEqual([1, 1, 2]);
});
