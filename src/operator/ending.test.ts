import { expect, test } from 'vitest';
import { hostedControlPlane, type LifeFields } from '../config/hosted-control-plane.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { settleEnd } from './ending.ts';
import type { ReconcileContext } from './plane-account.ts';

type Policy = LifeFields['deletionPolicy'];

/** What is done, in its order, for an object that says one policy while another one is in force. `owners`: of the plane's objects, they are settled. */
async function stepsOf(says: Policy, inForce: Policy): Promise<string[]> {
  const steps: string[] = [];
  let told: string = inForce;
  const around = {
    tell: async (_: unknown, { deletionPolicy }: { deletionPolicy: Policy }) => {
      if (deletionPolicy !== told) steps.push(deletionPolicy);
      told = deletionPolicy;
    },
    hold: async (waits: boolean) => void (waits !== (inForce === 'Backup') && steps.push(waits ? 'held' : 'let go')),
  };
  const cluster = { get: async () => void steps.push('owners') };
  const metadata = { name: 'k8sk8s', namespace: 'team', generation: 2 };
  const status = { observedGeneration: 1, deletionPolicy: inForce };
  const object = { ...hostedControlPlane, metadata, spec: { deletionPolicy: says }, status };
  await settleEnd(object, cluster as unknown as InfraCluster, around as unknown as ReconcileContext);
  return steps;
}

test.each<[Policy, Policy, string[]]>([
  ['Retain', 'Delete', ['owners', 'Retain']],
  ['Retain', 'Backup', ['owners', 'let go', 'Retain']],
  ['Backup', 'Delete', ['held', 'owners', 'Backup']],
  ['Backup', 'Retain', ['Delete', 'held', 'owners', 'Backup']],
  ['Delete', 'Retain', ['Delete', 'owners']],
  ['Delete', 'Backup', ['Delete', 'owners', 'let go']],
])(
  '%s instead of %s is said when it holds, and no other is said meanwhile that does not',
  async (says, inForce, steps) => {
    expect(await stepsOf(says, inForce)).toEqual(steps);
  },
);
