import { Command } from 'commander';
import { expect, test } from 'vitest';
import { parseSpec } from '../../config/parse.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import { chooseSpec } from './chosen-spec.ts';
import { addSpecOptions } from './spec-options.ts';

const choice = (...words: string[]) => {
  const command = new Command().option('--reset <OPTION...>');
  addSpecOptions(command);
  command.parse(words, { from: 'user' });
  return chooseSpec(command, undefined).completeIn('team-a');
};

test('a plane that took no node port for its way before gets one when the new way is one', () => {
  const before = choice('--expose', 'cluster')(undefined);
  expect(before.allocateNodePorts).toBe(false);
  const record = { phase: 'available', spec: before } as PlaneRecord;
  expect(choice('--expose', 'nodeport', '-h', '192.0.2.10')(record).allocateNodePorts).toBe(true);
  expect(choice('--node-port', '30001')(record).allocateNodePorts).toBe(true);
  expect(choice('--replicas', '2')(record).allocateNodePorts).toBe(false);
  expect(parseSpec(before, 'in the test')).toEqual(before);
});
