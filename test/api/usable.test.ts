import { afterEach, expect, test } from 'vitest';
import { admissionFix } from '../../src/hosted/admission.ts';
import { problemOfFirstPod } from '../../src/hosted/usable.ts';
import { connectHosted } from '../../src/kube/connect.ts';
import { ApiError } from '../../src/kube/errors.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { soon } from '../until.ts';
import { api, connectAsHosted } from './world.ts';

// A server without a controller-manager, as a plane is right after its API server answers.

const serviceAccount = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: 'default', namespace: 'default' },
};
const everything = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'k8sk8s-test-pods' },
  webhooks: [
    {
      name: 'all.k8sk8s.test',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      failurePolicy: 'Fail',
      // Only this test makes pods in namespace default.
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
      clientConfig: { url: 'https://127.0.0.1:9/' },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
    },
  ],
} as KubeObject;

const inTheWay = async () => problemOfFirstPod(await connectAsHosted(), 'team');

afterEach(async () => {
  const hosted = await connectAsHosted();
  await hosted.delete(everything, everything.metadata.name);
  await hosted.delete(serviceAccount, 'default', 'default');
});

test('without the ServiceAccount of its namespace no pod can be made', async () => {
  expect(await inTheWay()).toMatchObject({ anchor: 'not-usable', why: expect.stringContaining('ServiceAccount') });
  await (await connectAsHosted()).create(serviceAccount);
  await expect.poll(inTheWay, soon).toBeUndefined();
});

test('who has no rights cannot use a plane', async () => {
  const client = await issueLeaf(api.authority, { commonName: 'nobody', usages: ['clientAuth'] });
  const nobody = connectHosted({ server: api.server, certificateAuthority: api.authority.certificate, client });
  expect(await problemOfFirstPod(nobody, 'team')).toMatchObject({
    anchor: 'not-usable',
    why: expect.stringContaining('nobody'),
  });
});

test('a webhook that cannot be called is named, with the configuration that has it', async () => {
  const hosted = await connectAsHosted();
  await hosted.create(serviceAccount);
  await hosted.create(everything);
  await expect
    .poll(inTheWay, soon)
    .toMatchObject({ anchor: 'not-usable', fix: expect.stringContaining(everything.metadata.name) });
});

test('a refusal of no webhook and no policy has nothing of the kind to mend', async () => {
  const error = new ApiError({ status: 403, reason: 'Forbidden', message: 'exceeded quota: small' });
  expect(await admissionFix(await connectAsHosted(), error)).toBeUndefined();
});
