import { afterAll, beforeAll, expect, test } from 'vitest';
import { Metrics } from './metrics.ts';
import { serve } from './serve.ts';

let web: Awaited<ReturnType<typeof serve>>;
const metrics = new Metrics();
const ask = async (path: string) => {
  const answer = await fetch(`http://127.0.0.1:${web.port}${path}`);
  return { status: answer.status, text: await answer.text() };
};

beforeAll(async () => {
  web = await serve(0, metrics);
});
afterAll(() => web.close());

test('an operator lives from the beginning, and is ready once it knows the lease', async () => {
  expect((await ask('/livez')).status).toBe(200);
  expect((await ask('/readyz')).status).toBe(503);
  web.ready();
  expect((await ask('/readyz')).status).toBe(200);
  expect((await ask('/')).status).toBe(404);
});

test('the figures of a leader are told, without the name of a plane', async () => {
  const object = {
    apiVersion: 'k8sk8s.io/v1alpha1',
    kind: 'HostedControlPlane',
    metadata: { name: 'k8sk8s', namespace: 'team-a' },
    spec: { host: 'secret.example.com' },
    status: {
      conditions: [
        { type: 'Available' as const, status: 'True' as const, reason: 'r', message: 'm', lastTransitionTime: '' },
      ],
    },
  };
  metrics.leads({ objects: () => [object], due: () => 2 });
  metrics.looked('done', 400);
  metrics.drifted();
  const { text } = await ask('/metrics');
  for (const line of [
    'k8sk8s_operator_leading 1',
    'k8sk8s_operator_planes{condition="Available",status="True"} 1',
    'k8sk8s_operator_queue_due 2',
    'k8sk8s_operator_looks_total{result="done"} 1',
    'k8sk8s_operator_look_seconds_bucket{le="1"} 1',
    'k8sk8s_operator_drift_total 1',
  ])
    expect(text).toContain(`\n${line}\n`);
  expect(text).toContain('process_resident_memory_bytes');
  expect(text).not.toMatch(/team-a|secret/);
  metrics.leads(undefined);
  expect((await ask('/metrics')).text).toContain('k8sk8s_operator_leading 0\n');
});
