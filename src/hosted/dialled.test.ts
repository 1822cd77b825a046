import { expect, test } from 'vitest';
import { dialledIn } from './dialled.ts';

test("a kubelet's metrics tell at which name it dials", () => {
  const metrics = [
    '# TYPE rest_client_requests_total counter',
    'rest_client_requests_total{code="200",host="new.example.com:443",method="GET"} 12',
    'rest_client_requests_total{code="201",host="new.example.com:443",method="POST"} 1.2e+02',
    'rest_client_requests_total{code="403",host="127.0.0.1:6443",method="GET"} 3',
    'rest_client_rate_limiter_duration_seconds_count{host="other.example.com",verb="GET"} 900',
  ];
  expect(dialledIn(metrics.join('\n'))).toBe('new.example.com');
  expect(dialledIn('kubelet_running_pods 3')).toBeUndefined();
});
