import { expect, test } from 'vitest';
import { listBootstrapTokens } from '../../src/access/bootstrap-token.ts';
import { admitFirstToken, firstWorkerPodSecret, workerPodSecret } from '../../src/access/worker-pod-secret.ts';
import { parseSpec } from '../../src/config/parse.ts';
import { fixedPlane } from '../golden/plane.ts';
import { connectAsHosted } from './world.ts';

// The token of worker pods that start before the hosted API answers.

test('pods that have read a token join by it: a run that goes on gives the same one, and no second one is made', async () => {
  const spec = parseSpec({ host: 'k.example.com', workerPods: 1, workerImage: 'worker:1' }, 'in the test');
  const plane = await fixedPlane(spec);
  const hosted = await connectAsHosted();
  const secret = firstWorkerPodSecret(plane, undefined);
  expect(firstWorkerPodSecret(plane, secret)).toEqual(secret);
  expect(firstWorkerPodSecret(plane, undefined)).not.toEqual(secret);
  const before = await listBootstrapTokens(hosted);
  await admitFirstToken(hosted, secret);
  await admitFirstToken(hosted, secret);
  expect(await listBootstrapTokens(hosted)).toHaveLength(before.length + 1);
  expect(await workerPodSecret(plane, hosted, secret)).toEqual(secret);
});
