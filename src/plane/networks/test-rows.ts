/** What `network test` tries, in this order: each stands on those before it. */
export const testRows = [
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
  'policy-ingress-deny',
  'policy-ingress-by-namespace',
  'policy-ingress-by-port',
  'policy-egress-deny',
  'policy-egress-by-namespace',
  'policy-egress-by-port',
  'throughput',
] as const;

export type TestRow = (typeof testRows)[number];

/** Those that only a driver passes that enforces network policies. */
export const policyRows = testRows.filter((row) => row.startsWith('policy-'));
