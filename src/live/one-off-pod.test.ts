import { expect, test } from 'vitest';
import type { Pod } from '../kube/objects.ts';
import { hindranceOf } from './one-off-pod.ts';

const hindrance = (status: Pod['status']) => hindranceOf({ status } as Pod, ['shelf']);
const waiting = (reason: string, message?: string) => [{ name: 'shelf', state: { waiting: { reason, message } } }];

test.each([
  ['ImagePullBackOff', 'Back-off pulling image "none"', 'ImagePullBackOff: Back-off pulling image "none"'],
  ['CreateContainerConfigError', undefined, 'CreateContainerConfigError: the kubelet gives no detail'],
])('%s is told, and no waiting mends it', (reason, message, words) => {
  for (const containers of ['containerStatuses', 'initContainerStatuses'])
    expect(hindrance({ phase: 'Pending', [containers]: waiting(reason, message) } as Pod['status'])).toEqual({
      words,
      hopeless: true,
    });
});

test('a pod without a node says what the scheduler says; a node may still come', () => {
  const conditions = [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes are available' }];
  expect(hindrance({ phase: 'Pending', conditions } as Pod['status'])).toEqual({
    words: expect.stringContaining('0/3 nodes are available'),
    hopeless: false,
  });
});

test('a pod that is on its way says how far it is', () => {
  const containerStatuses = waiting('ContainerCreating');
  expect(hindrance({ phase: 'Pending', containerStatuses } as Pod['status'])).toEqual({
    words: expect.stringContaining('ContainerCreating'),
    hopeless: false,
  });
  expect(hindrance(undefined).words).toBe('its pod is still Pending');
});
