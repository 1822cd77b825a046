import { existsSync, statfsSync } from 'node:fs';
import { UserError } from '../base/errors.ts';
import { findProgram } from './artifacts/programs.ts';
import { run } from './process.ts';
import type { MachineState } from './state.ts';

/**
 * Checks that this box can run a sandbox: Linux, root, and the kernel features that the cluster needs. Each feature is tried in
 * namespaces of its own, which end with the trial.
 *
 * @throws UserError (kind `refused`) that lists all that is missing, and the way without a sandbox
 */
export async function requireBox(): Promise<void> {
  const missing =
    process.platform !== 'linux'
      ? [`this is ${process.platform}; a sandbox's machines are Linux namespaces`]
      : process.getuid?.() !== 0
        ? ['root: namespaces, mounts and network links are made']
        : await missingFeatures();
  if (missing.length === 0) return;
  throw new UserError({
    what: 'this box cannot run a sandbox',
    why: `it lacks\n${missing.map((item) => `  - ${item}`).join('\n')}`,
    fix: 'use any other cluster as the infra cluster instead: one made by kind, or one in a cloud; the README says how under "Other infra clusters"',
    anchor: 'sandbox-requirements',
    kind: 'refused',
  });
}

/** What a machine takes of the disk with its images and some planes, in GiB: measured with `du` on three infra nodes and four workers. */
const perMachine = { infra: 5, worker: 2 };

/**
 * The kubelets of a sandbox delete images when 1% of the file system is left, and the images of a sandbox cannot be pulled again.
 *
 * @param folder where the machines will be; it exists
 * @param machines of which the sandbox has nothing yet
 * @returns a warning where the disk has no room for them
 */
export function roomOnDisk(folder: string, machines: Pick<MachineState, 'role'>[]): string | undefined {
  const { bsize, blocks, bavail } = statfsSync(folder);
  const gib = (bytes: number) => Math.floor(bytes / 2 ** 30);
  const free = gib(bsize * (bavail - blocks / 100));
  const needed = machines.reduce((sum, { role }) => sum + perMachine[role], 0);
  if (free >= needed) return undefined;
  return `the disk of ${folder} has room for ${Math.max(0, free)} GiB, and ${machines.length} machines take about ${needed} GiB: without room, kubelets delete images, and pods of the sandbox wait for them for ever`;
}

async function missingFeatures(): Promise<string[]> {
  const missing: string[] = [];
  if (!existsSync('/sys/fs/cgroup')) missing.push('cgroups mounted at /sys/fs/cgroup');
  // ip and unshare may be missing before the Debian packages are installed; without them there is nothing to try with.
  if (!(await findProgram('unshare')) || !(await findProgram('ip'))) return missing;
  const trials: [feature: string, command: string[]][] = [
    ['namespaces (network, mount, PID, IPC, UTS, cgroup)', ['true']],
    ['veth links', ['ip', 'link', 'add', 'trial0', 'type', 'veth', 'peer', 'name', 'trial1']],
    ['bridge links', ['ip', 'link', 'add', 'trial0', 'type', 'bridge']],
    ['vxlan links', ['ip', 'link', 'add', 'trial0', 'type', 'vxlan', 'id', '1', 'dstport', '8472']],
    [
      'overlayfs',
      [
        'sh',
        '-c',
        'mount -t tmpfs t /mnt && mkdir /mnt/l /mnt/u /mnt/w /mnt/m && mount -t overlay o -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/m',
      ],
    ],
    ...((await findProgram('iptables'))
      ? [['iptables (nat table)', ['iptables', '-t', 'nat', '-L', '-n']] as [string, string[]]]
      : []),
  ];
  await Promise.all(
    trials.map(async ([feature, command]) => {
      try {
        await run(
          'unshare',
          ['--net', '--mount', '--pid', '--ipc', '--uts', '--cgroup', '--fork', '--propagation', 'private', ...command],
          { timeout: 10_000 },
        );
      } catch {
        missing.push(feature);
      }
    }),
  );
  return missing;
}
