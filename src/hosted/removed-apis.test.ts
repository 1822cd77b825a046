import { expect, test } from 'vitest';
import { requestedRemovedApis } from './removed-apis.ts';

const line = (labels: string, value = 1) => `apiserver_requested_deprecated_apis{${labels}} ${value}`;
const api = (group: string, version: string, resource: string, removed: string, subresource = '') =>
  `group="${group}",removed_release="${removed}",resource="${resource}",subresource="${subresource}",version="${version}"`;

test('tells what was asked for and goes away on the way, once each', () => {
  const metrics = [
    '# TYPE apiserver_requested_deprecated_apis gauge',
    line(api('networking.k8s.io', 'v1beta1', 'ipaddresses', '1.37')),
    line(api('networking.k8s.io', 'v1beta1', 'ipaddresses', '1.37', 'status')),
    line(api('resource.k8s.io', 'v1beta1', 'resourceclaims', '1.38')),
    line(api('storage.k8s.io', 'v1beta1', 'volumeattributesclasses', '1.37'), 0),
    line(api('', 'v1', 'endpoints', '')),
    'apiserver_request_total{group="x"} 1',
  ].join('\n');
  expect(requestedRemovedApis(metrics, '1.36', '1.37')).toEqual([
    { api: 'networking.k8s.io/v1beta1 ipaddresses', removedIn: '1.37', objects: [] },
  ]);
  expect(requestedRemovedApis(metrics, '1.37', '1.38').map(({ api }) => api)).toEqual([
    'resource.k8s.io/v1beta1 resourceclaims',
  ]);
  expect(requestedRemovedApis(metrics, '1.36', '1.36')).toEqual([]);
});
