import { expect, test } from 'vitest';
import { commandsOf } from './unit.ts';

test('a unit is its commands, over all its lines', () => {
  const unit =
    '[Service]\nExecStartPre=-/sbin/ip address add X dev lo\nExecStart=/x \\\n  --a=b \\\n  --c\nRestart=always\n';
  expect(commandsOf(unit)).toEqual({
    before: [{ command: ['/sbin/ip', 'address', 'add', 'X', 'dev', 'lo'], mayFail: true }],
    start: ['/x', '--a=b', '--c'],
  });
  expect(() => commandsOf('[Service]\n')).toThrow('ExecStart');
});
