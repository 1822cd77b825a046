/**
 * The rooms of src/ from the ground up: a file imports from its own room and from rooms before it, never from one after it.
 * Type imports count. CONTRIBUTING.md says in a line what each room is for; docs/adr/0031-floors.md why they stand in this order.
 */
export const rooms = [
  'base',
  'ui',
  'pki',
  'kube',
  'kubeconfig',
  'programs',
  'manifests',
  'config',
  'plane',
  'live',
  'access',
  'etcd',
  'rollout',
  'hosted',
  'backup',
  'drift',
  'preflight',
  'operations',
  'operator',
  'sandbox',
  'commands',
  'cli.ts',
] as const;
