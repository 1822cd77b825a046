import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { bareMachine } from './machine/machine.ts';
import { addresses, certificate, spec, standInMachine } from './worker-script.fixture.ts';
import { workerScript } from './worker-script.ts';

// The oldest systemd of the distributions that docs/machines.md names is 239, of Rocky 8. It refuses a unit with a value that it does not
// know, and ignores a setting that it does not know.

// The script starts some hundred processes, which takes long on a busy box.
vi.setConfig({ testTimeout: 60_000 });

const { at, furnish, read, run } = standInMachine();

/** What systemd 239 has of what is used here, as its systemd.unit(5), systemd.service(5) and systemd.exec(5) say. */
const known: Record<string, string[]> = {
  Unit: ['Description', 'After', 'Wants', 'ConditionPathExists', 'StartLimitIntervalSec'],
  Service: ['Type', 'ExecStartPre', 'ExecStart', 'Environment', 'RemainAfterExit', 'Restart', 'RestartSec'],
  Install: ['WantedBy'],
};
const types = ['simple', 'oneshot', 'forking', 'dbus', 'notify', 'idle'];

/** The settings of a unit by SECTION.NAME, of each the last. */
function settingsOf(unit: string): Map<string, string> {
  let section = '';
  const found = new Map<string, string>();
  for (const line of unit.replaceAll(/\\\n\s*/g, '').split('\n')) {
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    section = /^\[(\w+)\]$/.exec(line)?.[1] ?? section;
    if (name !== undefined) found.set(`${section}.${name}`, value!);
  }
  return found;
}

/** Every unit and drop-in that join leaves on a machine, by its name. */
function unitsOfJoin(): Record<string, string> {
  const programs = `${['systemctl', 'sysctl', 'dpkg', 'sleep', 'swapoff'].map((name) => `${name}() { :; }`).join('\n')}
getenforce() { echo Disabled; }
containerd() { echo 'version = 3'; }
kubelet() { echo 'Kubernetes v1.37.2'; }
curl() { while [ $# -gt 1 ]; do [ "$1" != -o ] || : >"$2"; shift; done; }
`;
  furnish({ '/etc/os-release': 'ID=debian\n', '/proc/mounts': '' });
  mkdirSync(at('programs'));
  for (const name of ['apt-get', 'apt-mark']) writeFileSync(at(`programs/${name}`), '#!/bin/sh\n', { mode: 0o755 });
  const env = { PATH: `${at('programs')}:${process.env.PATH}`, HTTPS_PROXY: 'http://proxy.example.com:3128' };
  const script = programs + workerScript(spec({ inCluster: 'loopback' }), addresses);
  for (const subcommand of ['install', 'configure']) run(['sh'], subcommand, env, script);
  const folder = '/etc/systemd/system';
  const names = readdirSync(at(folder), { recursive: true, encoding: 'utf8' }).filter((name) => /\.\w+$/.test(name));
  return Object.fromEntries(
    names.filter((name) => !name.endsWith('.d')).map((name) => [name, read(`${folder}/${name}`)]),
  );
}

test('systemd 239 takes every unit of a worker', () => {
  const ofFormats = bareMachine({
    spec: spec(),
    addresses,
    authority: certificate('ours'),
    token: 'abcdef.0123456789abcdef',
    around: {},
  }).units.map(({ name, text }) => [name, text] as const);
  const units = { ...unitsOfJoin(), ...Object.fromEntries(ofFormats) };
  expect(Object.keys(units).sort()).toEqual([
    'containerd.service.d/90-k8sk8s-proxy.conf',
    'k8s-relay.service',
    'k8sk8s-worker.service',
    'kubelet.service',
    'kubelet.service.d/90-k8sk8s-proxy.conf',
  ]);
  for (const [name, unit] of Object.entries(units)) {
    const settings = settingsOf(unit);
    const unknown = [...settings.keys()].filter((each) => {
      const [section, setting] = each.split('.') as [string, string];
      return !known[section]?.includes(setting);
    });
    expect(unknown, name).toEqual([]);
    const type = settings.get('Service.Type') ?? 'simple';
    expect(types, name).toContain(type);
    // Since 244: "Service has Restart= setting other than no, which isn't allowed for Type=oneshot services. Refusing."
    if (type === 'oneshot') expect(settings.get('Service.Restart') ?? 'no', name).toBe('no');
  }
});
