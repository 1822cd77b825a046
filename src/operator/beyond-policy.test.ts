import { expect, test } from 'vitest';
import { ApiError, ConnectionError } from '../kube/errors.ts';
import { answerOf, verdictOf } from './beyond-policy.ts';

const answer = (status: number, reason: string, message = reason) =>
  answerOf(new ApiError({ status, reason, message }));
const denied = `hostedcontrolplanes.k8sk8s.io "k8sk8s" is forbidden: ValidatingAdmissionPolicy 'k8sk8s-fields' with binding 'k8sk8s-fields' denied request: spec.replicas is the administrator's`;

test('only a policy, a webhook and the definition refuse', () => {
  expect(answer(403, 'Forbidden', denied)).toEqual({ refused: "spec.replicas is the administrator's" });
  expect(answer(422, 'Invalid', denied)).toEqual({ refused: "spec.replicas is the administrator's" });
  expect(answer(422, 'Invalid', 'spec.host: too long')).toEqual({ refused: 'spec.host: too long' });
  expect(answer(400, '', 'admission webhook "hosts.example.com" denied the request: not yours')).toEqual({
    refused: 'not yours',
  });
});

test('what comes of other reasons is not known, and says why', () => {
  for (const [status, reason] of [
    [401, 'Unauthorized'],
    [404, 'NotFound'],
    [409, 'Conflict'],
    [429, 'TooManyRequests'],
    [503, 'ServiceUnavailable'],
  ] as const)
    expect(answer(status, reason)).toEqual({ unknown: expect.stringContaining(`${status} ${reason}`) });
  expect(answer(403, 'Forbidden', 'exceeded quota: objects')).toBe('taken');
  expect(answer(500, 'InternalError', 'failed calling webhook "hosts.example.com": no answer')).toHaveProperty(
    'unknown',
  );
  expect(answerOf(new ConnectionError('https://infra.test', 'ECONNRESET', 'closed'))).toHaveProperty('unknown');
  const impersonated = 'users "anna" is forbidden: User "bob" cannot impersonate resource "users" in API group ""';
  expect(answer(403, 'Forbidden', impersonated)).toHaveProperty('unknown');
  const withoutRight = 'User "anna" cannot create resource "hostedcontrolplanes" in API group "k8sk8s.io"';
  expect(answer(403, 'Forbidden', withoutRight)).toBe('may-not-write');
  expect(answer(409, 'AlreadyExists')).toBe('taken');
});

test('an object is beyond the policies when somebody who may write it is refused, whoever else may', () => {
  const [refused, unknown] = [{ refused: 'not yours' }, { unknown: '429' }];
  const verdict = (...answers: ReturnType<typeof answerOf>[]) =>
    verdictOf(answers.map((answer, index) => ({ who: `User ${index}`, answer })));
  expect(verdict('taken', unknown)).toEqual({});
  expect(verdict(refused, 'taken', unknown)).toEqual({ ...refused, exceptFor: ['User 1'] });
  expect(verdict(refused, 'may-not-write')).toEqual(refused);
  expect(verdict(refused, unknown)).toEqual(unknown);
  expect(verdict('may-not-write')).toEqual({});
  expect(verdict()).toEqual({});
});
