import { dump } from 'js-yaml';
import {
  bareMachine,
  kubeadmMachine,
  type Machine,
  type MachineFile,
  type MachineToJoin,
  type MachineUnit,
} from './machine.ts';

interface MachineFormat {
  machine(joining: MachineToJoin): Machine;
  write(machine: Machine): string;
}

/** How a machine can be written down. */
export const machineFormats = {
  script: { machine: bareMachine, write: asScript },
  'cloud-init': { machine: bareMachine, write: asCloudInit },
  ignition: { machine: bareMachine, write: asIgnition },
  systemd: { machine: bareMachine, write: asUnits },
  kubeadm: { machine: kubeadmMachine, write: asScript },
} satisfies Record<string, MachineFormat>;

/** All that one machine needs to join, in one text. Pure. */
export function machineAs(format: keyof typeof machineFormats, joining: MachineToJoin): string {
  const { machine, write } = machineFormats[format];
  return write(machine(joining));
}

/** A shell script that carries its files. A shell may read it from its standard input, which the steps must not read. Pure. */
export function asScript({ plane, files, steps }: Machine): string {
  return `#!/bin/sh
# Makes this machine a worker of the plane ${plane}. It carries a bootstrap token: keep it as you keep a key.
set -eu
[ "$(id -u)" = 0 ] || { echo "you are not root: run this with sudo" >&2; exit 1; }

${files.map(writing).join('\n')}
${steps.map((step) => `${step} </dev/null`).join('\n')}
`;
}

const end = 'END_OF_FILE_OF_K8SK8S';

function writing({ path, mode, text }: MachineFile): string {
  return `mkdir -p ${path.slice(0, path.lastIndexOf('/'))}
(umask 077 && cat >${path}.new) <<'${end}'
${text}${end}
chmod ${mode} ${path}.new
mv ${path}.new ${path}
`;
}

/**
 * https://cloudinit.readthedocs.io/en/latest/reference/modules.html (write_files, runcmd). cloud-init runs a command once; where it fails,
 * because HOST or a mirror does not answer yet, the units go on. Pure.
 */
export function asCloudInit({ plane, files, units, steps }: Machine): string {
  const ofUnits = units.map(({ name, text }): MachineFile => ({ path: unitPath(name), mode: '644', text }));
  const goesOn = `systemctl daemon-reload; systemctl enable --now --no-block ${units.map(({ name }) => name).join(' ')}`;
  const config = {
    write_files: [...files, ...ofUnits].map(({ path, mode, text }) => ({
      path,
      owner: 'root:root',
      permissions: `0${mode}`,
      content: text,
    })),
    runcmd: [`${steps.join(' && ')} || { ${goesOn}; }`],
  };
  return `#cloud-config
# Makes a machine a worker of the plane ${plane}. It carries a bootstrap token: keep it as you keep a key.
${dump(config, { lineWidth: -1, noRefs: true })}`;
}

/** https://coreos.github.io/ignition/configuration-v3_3/. Pure. */
export function asIgnition({ files, units }: Machine): string {
  const config = {
    ignition: { version: '3.3.0' },
    storage: {
      files: files.map(({ path, mode, text }) => ({
        path,
        mode: Number.parseInt(mode, 8),
        overwrite: true,
        contents: { source: `data:;base64,${Buffer.from(text).toString('base64')}` },
      })),
    },
    systemd: { units: units.map(({ name, text }) => ({ name, enabled: true, contents: text })) },
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** As `systemctl cat` shows units. Pure. */
export function asUnits({ units }: Machine): string {
  return units.map(({ name, text }: MachineUnit) => `# ${unitPath(name)}\n${text}`).join('\n');
}

function unitPath(name: string): string {
  return `/etc/systemd/system/${name}`;
}
