import { inside } from '../../src/sandbox/machine.ts';
import { requireState } from '../../src/sandbox/state.ts';
import type { Namespace } from './world.ts';

/**
 * Of pods that are gone, by their UIDs, those of which an infra node still has a mount, a cgroup or a folder, and of their addresses those
 * for which it has a rule of iptables, a route or a reservation of CNI; each with the node.
 */
export async function leftOnNodes(
  { sandbox }: Pick<Namespace, 'sandbox'>,
  uids: Iterable<string>,
  addresses: Iterable<string> = [],
): Promise<string[]> {
  const nodes = requireState(sandbox).machines.filter(({ role }) => role === 'infra');
  const look = `cat /proc/self/mountinfo; find /sys/fs/cgroup -type d -name '*pod*'; ls /var/lib/kubelet/pods`;
  const lookAtNetwork = 'iptables-save; ip -4 route; ls /var/lib/cni/networks/* 2>/dev/null || true';
  const left = await Promise.all(
    nodes.map(async (node) => {
      // Of a pod's UID a cgroup driver may write the dashes as underscores.
      const found = (await inside(node, ['sh', '-c', look])).replaceAll('_', '-');
      const network = new Set((await inside(node, ['sh', '-c', lookAtNetwork])).split(/[^\d.]+/));
      return [
        ...[...uids].filter((uid) => found.includes(uid)),
        ...[...addresses].filter((address) => network.has(address)),
      ].map((each) => `${each} on ${node.name}`);
    }),
  );
  return left.flat();
}
