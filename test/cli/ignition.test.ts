import { describe, expect, test } from 'vitest';
import { machineAs } from '../../src/access/machine/formats.ts';
import { parseSpec } from '../../src/config/parse.ts';
import type { Addresses } from '../../src/plane/addresses.ts';
import { ignitionComplaints } from '../ignition-validate.ts';
import { runsAllOf } from '../test-all.ts';

// The validator is built from Go sources when it is asked for first. `npm run test:all` has these, or K8SK8S_TEST=ignition.

describe.runIf(runsAllOf('cli/ignition'))("Ignition's own validator", () => {
  const config = (around: object) =>
    machineAs('ignition', {
      spec: parseSpec({ host: 'k.example.com', kubernetesVersion: '1.37.2', inCluster: 'loopback' }, 'here'),
      addresses: { workerServer: 'https://k.example.com:443', nodePort: 31234 } as Addresses,
      authority: 'a CA\n',
      token: 'abcdef.0123456789abcdef',
      around,
    });
  /** For the build. */
  const patience = 900_000;

  test.each([
    ['of a machine', {}],
    [
      'of a machine with surroundings of its own',
      { mirror: 'https://m.example.com', httpProxy: 'http://p.example.com' },
    ],
  ])(
    'has nothing to say of the configuration %s',
    async (_, around) => {
      expect(await ignitionComplaints(config(around))).toEqual([]);
    },
    patience,
  );

  test.each([
    ['a misspelt key', '"overwrite"', '"overwrit"', /unused key overwrit$/],
    ['a mode that is none', '"mode": 384', '"mode": 65536', /\$\.storage\.files\.0\.mode/],
    ['a version that nobody has', '"version": "3.3.0"', '"version": "9.3.0"', /version/],
    ['half a document', '"systemd"', '', /./],
  ])(
    'tells of %s',
    async (_, before, after, told) => {
      expect(config({})).toContain(before);
      expect(await ignitionComplaints(config({}).replace(before, after))).toContainEqual(expect.stringMatching(told));
    },
    patience,
  );
});
