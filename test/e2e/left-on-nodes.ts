import { inside } from '../../src/sandbox/machine.ts';
import { requireState } from '../../src/sandbox/state.ts';
import type { Namespace } from './world.ts';

/** Of pods that are gone, by their UIDs, those of which an infra node still has a mount, a cgroup or a folder; each with the node. */
export async function leftOnNodes({ sandbox }: Pick<Namespace, 'sandbox'>, uids: Iterable<string>): Promise<string[]> {
  const nodes = requireState(sandbox).machines.filter(({ role }) => role === 'infra');
  const look = `cat /proc/self/mountinfo; find /sys/fs/cgroup -type d -name '*pod*'; ls /var/lib/kubelet/pods`;
  const left = await Promise.all(
    nodes.map(async (node) => {
      // Of a pod's UID a cgroup driver may write the dashes as underscores.
      const found = (await inside(node, ['sh', '-c', look])).replaceAll('_', '-');
      return [...uids].filter((uid) => found.includes(uid)).map((uid) => `${uid} on ${node.name}`);
    }),
  );
  return left.flat();
}
