import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { LiveBoard } from './board.ts';

function boardOf(...rows: string[]) {
  const stream = new PassThrough();
  const board = new LiveBoard({ title: 'STUDENT', rows, stream: stream as unknown as NodeJS.WriteStream });
  return { board, written: () => String(stream.read() ?? '') };
}

test('without a terminal each change of a state is a line, and what is waited for is none', () => {
  const { board, written } = boardOf('anna', 'bob');
  board.tell('anna', 'queued');
  const reporter = board.reporterOf('anna', 'deploying');
  board.tell('anna', 'deploying');
  reporter.begin('Waiting').update('etcd');
  board.tell('anna', 'failed', 'no\u001b[31m room');
  const text = written();
  expect(text.split('\n').filter(Boolean)).toHaveLength(2);
  expect(text).toContain('anna: failed');
  expect(text).not.toContain('\u001b');
});

test('the board counts the states and shows each row with what it waits for', () => {
  const { board } = boardOf('anna', 'bob');
  board.tell('anna', 'available');
  board.tell('bob', 'deploying', 'Waiting: etcd');
  const [head, , anna, bob] = board.text().split('\n');
  expect(head).toContain('1 available, 1 deploying');
  expect(anna).toMatch(/^anna +available/);
  expect(bob).toMatch(/^bob +deploying .*Waiting: etcd/);
});
