import { afterEach, expect, test } from 'vitest';
import { refuseUnadmitted } from '../../src/hosted/admission.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { refused } from '../refused.ts';
import { soon } from '../until.ts';
import { connectAsHosted } from './world.ts';

// Rules of a hosted cluster's users that stand in the way of what k8sk8s writes, asked by a real API server.

const admission = 'admissionregistration.k8s.io/v1';
const object = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'asset', namespace: 'default', labels: { judged: 'yes' } },
};
const others = { ...object, metadata: { name: 'other', namespace: 'default' } };

const webhook = {
  apiVersion: admission,
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'k8sk8s-test-assets' },
  webhooks: [
    {
      name: 'assets.k8sk8s.test',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      failurePolicy: 'Fail',
      timeoutSeconds: 1,
      objectSelector: { matchLabels: { judged: 'yes' } },
      clientConfig: { url: 'https://127.0.0.1:9/' },
      rules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] }],
    },
  ],
} as KubeObject;

const policy = {
  apiVersion: admission,
  kind: 'ValidatingAdmissionPolicy',
  metadata: { name: 'k8sk8s-test-assets' },
  spec: {
    failurePolicy: 'Fail',
    matchConstraints: {
      objectSelector: { matchLabels: { judged: 'yes' } },
      resourceRules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'] }],
    },
    validations: [{ expression: 'false', message: 'no' }],
  },
} as KubeObject;
const binding = {
  apiVersion: admission,
  kind: 'ValidatingAdmissionPolicyBinding',
  metadata: { name: 'k8sk8s-test-assets-here' },
  spec: { policyName: 'k8sk8s-test-assets', validationActions: ['Deny'] },
} as KubeObject;

const outcome = async (...objects: KubeObject[]) =>
  refuseUnadmitted(await connectAsHosted(), objects, new AbortController().signal).then(
    () => 'admitted',
    (error: unknown) => error,
  );

afterEach(async () => {
  const hosted = await connectAsHosted();
  for (const each of [webhook, binding, policy, object]) {
    const { name, namespace } = each.metadata as { name: string; namespace?: string };
    await hosted.delete(each, name, namespace);
  }
  // The API server forgets them a moment later.
  await expect.poll(() => outcome(object), soon).toBe('admitted');
});

test('a webhook that cannot be called is named with its configuration, and nothing is stored', async () => {
  const hosted = await connectAsHosted();
  expect(await outcome(object, others)).toBe('admitted');
  await hosted.create(webhook);
  await expect
    .poll(() => outcome(others, object), soon)
    .toEqual(refused('child-asset-refused', 'validatingwebhookconfiguration k8sk8s-test-assets', '"asset"'));
  expect(await outcome(others)).toBe('admitted');
  expect(await hosted.get(object, 'asset', 'default')).toBeUndefined();
});

test('a policy that denies is named with its binding', async () => {
  const hosted = await connectAsHosted();
  await hosted.create(policy);
  await hosted.create(binding);
  await expect
    .poll(() => outcome(object), soon)
    .toEqual(refused('child-asset-refused', 'validatingadmissionpolicybinding k8sk8s-test-assets-here'));
});
