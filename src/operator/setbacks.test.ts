import { expect, test } from 'vitest';
import { ApiError, ConnectionError } from '../kube/errors.ts';
import { Setbacks } from './setbacks.ts';

const forbidden = new ApiError({
  status: 403,
  reason: 'Forbidden',
  message:
    'hostedcontrolplanes.k8sk8s.io is forbidden: User "system:serviceaccount:k8sk8s-system:k8sk8s-operator" cannot list resource "hostedcontrolplanes" in API group "k8sk8s.io" at the cluster scope',
});

test('what stays the same is told once, with the rule that is missing', () => {
  const lines: string[] = [];
  const setbacks = new Setbacks(({ text }) => lines.push(text));
  for (const _ of ['begins', 'lasts']) setbacks.tell('watch HostedControlPlanes', forbidden);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/"list" on "hostedcontrolplanes".*operator install/);
  setbacks.tell('watch HostedControlPlanes', new ApiError({ status: 404, reason: '', message: '404 page not found' }));
  setbacks.tell('watch HostedControlPlanes', new ApiError({ status: 401, reason: 'Unauthorized', message: 'no' }));
  setbacks.tell('watch HostedControlPlanes', new ConnectionError('https://infra', 'ECONNREFUSED', 'refused'));
  expect(lines).toHaveLength(4);
  expect(lines[1]).toContain('operator install');
});
