/** What `network test` tries, in this order: each stands on those before it. */
export const testRows = [
  'driver-pods',
  'pod-addresses',
  'pod-to-pod-same-worker',
  'pod-to-pod-other-worker',
  'host-to-pod',
  'large-transfers',
  'pod-to-api',
  'service-by-ip',
  'service-by-name',
  'hairpin',
  'node-port',
  'session-affinity',
  'source-address',
  'parallel-connections',
  'ipv6-pod-addresses',
  'ipv6-pod-to-pod',
  'ipv6-large-transfers',
  'ipv6-service-by-ip',
  'ipv6-service-by-name',
  'ipv6-node-port',
  'ipv6-source-address',
  'policy-ingress-deny',
  'policy-ingress-by-namespace',
  'policy-ingress-by-port',
  'policy-egress-deny',
  'policy-egress-by-namespace',
  'policy-egress-by-port',
  'throughput',
] as const;

export type TestRow = (typeof testRows)[number];

/** Those of planes whose pods have IPv6 addresses beside their IPv4 ones. */
export const ipv6Rows = testRows.filter((row) => row.startsWith('ipv6-'));

/** Those that only a driver passes that enforces network policies. */
export const policyRows = testRows.filter((row) => row.startsWith('policy-'));
