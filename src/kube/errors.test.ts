import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { ApiError, explainCallError } from './errors.ts';

const explained = (status: number, message: string) =>
  explainCallError(new ApiError({ status, reason: '', message, of: 'hosted' }), 'write the mark');

test.each([
  [500, 'Internal error occurred: failed calling webhook "all.tenant.test": dial tcp: refused'],
  [403, 'admission webhook "all.tenant.test" denied the request: no'],
])('a webhook of the hosted cluster that is in the way is named (%d)', (status, message) => {
  expect(explained(status, message)).toEqual(refused('hosted-refused', 'all.tenant.test', 'webhookconfigurations'));
});

test('any other failure of a hosted API server is worth another run', () => {
  expect(explained(500, 'etcdserver: request timed out')).toEqual(refused('hosted-api-error', 'request timed out'));
});
