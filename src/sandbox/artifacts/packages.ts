import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import type { Phase, Reporter } from '../../ui/reporter.ts';
import { findProgram, run } from './programs.ts';

interface DebianPackage {
  name: string;
  /**
   * The program or file that shows that the package is installed. dpkg is not asked, because the same program from another
   * source (Docker's containerd.io, a self-built runc) serves as well, and apt-get would remove that one.
   */
  proof: string;
}

const debianPackages: DebianPackage[] = [
  { name: 'containerd', proof: 'containerd' },
  { name: 'runc', proof: 'runc' },
  { name: 'iptables', proof: 'xtables-nft-multi' },
  { name: 'nftables', proof: 'nft' },
  { name: 'conntrack', proof: 'conntrack' },
  { name: 'ipset', proof: 'ipset' },
  { name: 'socat', proof: 'socat' },
  { name: 'ethtool', proof: 'ethtool' },
  { name: 'iproute2', proof: 'ip' },
  { name: 'busybox-static', proof: 'busybox' },
  { name: 'containernetworking-plugins', proof: '/usr/lib/cni/bridge' },
  { name: 'ca-certificates', proof: '/etc/ssl/certs/ca-certificates.crt' },
];

/** What goes into images of the conformance suite. */
export const testImagePackages: DebianPackage[] = [
  { name: 'bash', proof: 'bash' },
  { name: 'bind9-dnsutils', proof: 'dig' },
  { name: 'bind9-host', proof: 'host' },
  { name: 'curl', proof: 'curl' },
  { name: 'iperf', proof: 'iperf' },
  { name: 'netcat-openbsd', proof: 'nc.openbsd' },
  { name: 'util-linux', proof: 'ipcs' },
];

/** Debian's compiler for Cilium's agent, under its versioned path: `clang` without a version is another package. */
export const compilers = '/usr/lib/llvm-19/bin';
export const ciliumPackages: DebianPackage[] = [{ name: 'clang-19', proof: `${compilers}/clang` }];

/** The packages of which this box has neither the program nor a substitute. */
export async function missingPackages(packages: DebianPackage[] = debianPackages): Promise<string[]> {
  const found = await Promise.all(
    packages.map(({ proof }) => (proof.startsWith('/') ? exists(proof) : findProgram(proof))),
  );
  return packages.filter((_, index) => !found[index]).map(({ name }) => name);
}

/** What to type to install `names`. */
export function aptLine(names: string[]): string {
  return `apt-get update && apt-get install -y --no-install-recommends ${names.join(' ')}`;
}

/**
 * Installs the Debian packages that are missing. Takes milliseconds when none is.
 *
 * @param more packages besides those that every sandbox needs
 * @throws UserError `missing-packages` when not root or not on Debian, `apt-failed` when apt-get failed
 */
export async function ensurePackages(reporter: Reporter, more: DebianPackage[] = []): Promise<void> {
  const missing = await missingPackages([...debianPackages, ...more]);
  if (missing.length === 0) return;
  const apt = await findProgram('apt-get');
  const root = process.getuid?.() === 0;
  if (!apt || !root) {
    throw new UserError({
      what:
        missing.length === 1
          ? `a package is missing: ${missing[0]}`
          : `${missing.length} packages are missing: ${missing.join(' ')}`,
      why: apt
        ? 'only root may install them'
        : 'this is no Debian-like system, so k8sk8s does not know how to install them',
      fix: apt ? `as root: ${aptLine(missing)}` : 'install the programs of the same names the way this system does',
      anchor: 'missing-packages',
      kind: 'refused',
    });
  }
  const env = {
    ...process.env,
    DEBIAN_FRONTEND: 'noninteractive',
    LC_ALL: 'C',
    // The sandbox starts its own containerd; on boxes with init scripts, this keeps the package from starting another one.
    RUNLEVEL: '1',
  };
  const install = async (phase: Phase) => {
    for (const args of [['update'], ['install', '--yes', '--no-install-recommends', ...missing]]) {
      phase.update(`apt-get ${args[0]}`);
      const ran = await run(apt, ['--quiet', ...args], { env });
      // Without an update, the package lists that are there may suffice.
      if (ran.code === 0 || args[0] === 'update') continue;
      throw new UserError({
        what: 'apt-get could not install the packages that the sandbox needs',
        why: ran.errors.slice(-5).join('\n') || `it ended with code ${ran.code}`,
        fix: words`make this work, then ${again}: ${aptLine(missing)}`,
        anchor: 'apt-failed',
      });
    }
  };
  const names = missing.join(' ');
  await reporter.during(`Debian packages: ${names}`, install, `Debian packages installed: ${names}`);
}

function exists(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
