import { execFileSync } from 'node:child_process';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { parseSpec } from '../../config/parse.ts';
import type { Addresses } from '../../plane/addresses.ts';
import { asCloudInit, asIgnition, asScript, asUnits, machineFormats } from './formats.ts';
import { bareMachine } from './machine.ts';

const addresses = {
  workerServer: 'https://k.example.com:443',
  nodePort: 31234,
  advertised: { address: '192.0.2.7', port: 31234 },
} as Addresses;
const spec = parseSpec({ host: 'k.example.com', kubernetesVersion: '1.37.2' }, 'here');
const around = { mirror: "https://mirror.example.com/it's/", httpProxy: 'http://proxy.example.com:3128' };
const joining = { spec, addresses, authority: 'a CA\n', token: 'abcdef.0123456789abcdef', around };
const machine = bareMachine(joining);
/** worker.sh has tests of its own, and would hide all else; other files are the same in all formats. */
const short = {
  ...machine,
  files: machine.files.map((file) => (file.path.endsWith('worker.sh') ? { ...file, text: '#!/bin/sh\n' } : file)),
};

for (const [name, { machine: make, write }] of Object.entries(machineFormats))
  test(`${name} is as it was`, async () => {
    const text = write({ ...make(joining), files: short.files });
    await expect(text).toMatchFileSnapshot(`../../../test/golden/machines/${name}.txt`);
  });

test('all formats carry the same files, byte by byte', () => {
  const wanted = machine.files.map(({ path, text, mode }) => [path, text, mode]);
  const { write_files } = load(asCloudInit(machine)) as {
    write_files: { path: string; content: string; permissions: string }[];
  };
  const [unit] = machine.units;
  const ofUnits = [[`/etc/systemd/system/${unit!.name}`, unit!.text, '644']];
  const written = write_files.map(({ path, content, permissions }) => [path, content, permissions.slice(1)]);
  expect(written).toEqual([...wanted, ...ofUnits]);
  const { storage, systemd } = JSON.parse(asIgnition(machine)) as {
    storage: { files: { path: string; mode: number; contents: { source: string } }[] };
    systemd: { units: { name: string; contents: string }[] };
  };
  const decoded = ({ contents }: { contents: { source: string } }) =>
    Buffer.from(contents.source.replace('data:;base64,', ''), 'base64').toString();
  expect(storage.files.map((each) => [each.path, decoded(each), each.mode.toString(8)])).toEqual(wanted);
  expect(asUnits(machine)).toContain(systemd.units[0]!.contents);
});

test.each([
  ['which joins', 'true', []],
  ['which does not join yet', 'false', ['daemon-reload', `enable --now --no-block ${machine.units[0]!.name}`]],
])('cloud-init leaves a machine to its unit %s', (_, joining, asked) => {
  const { runcmd } = load(asCloudInit({ ...machine, steps: [joining] })) as { runcmd: string[] };
  // As cloud-init does with a command that is no list.
  const calls = execFileSync('sh', ['-c', `systemctl() { echo "$*"; }\n${runcmd[0]}`]);
  expect(calls.toString().split('\n').filter(Boolean)).toEqual(asked);
});

test('a shell that reads the script from its standard input reads all of it', () => {
  const steps = ['cat >/dev/null', 'echo second'];
  const script = asScript({ plane: 'k', files: [], units: [], steps }).replace(/^\[ .*$/m, '');
  expect(execFileSync('sh', [], { input: script }).toString()).toBe('second\n');
});

test('a shell reads the script and the surroundings as they were meant', () => {
  execFileSync('sh', ['-n'], { input: asScript(machine) });
  const settings = machine.files.find(({ path }) => path.endsWith('worker.env'))!.text;
  const said = execFileSync('sh', ['-c', `${settings} printf %s "$MIRROR"`]).toString();
  expect(said).toBe("https://mirror.example.com/it's");
});
