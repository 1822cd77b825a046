import { getEventListeners } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Positions } from './positions.ts';
import { Sender } from './sender.ts';
import type { Store } from './store.ts';

const line = { _msg: 'x'.repeat(3 << 20) };

function sender(insert: () => Promise<void>) {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const positions = new Positions(path.join(mkdtempSync(path.join(tmpdir(), 'sender-')), 'state.json'));
  return { stop, sender: new Sender({ insert } as unknown as Store, positions, stop.signal) };
}

test('waits for room leave nothing behind, however many there are in a session', async () => {
  const { stop, sender: full } = sender(async () => undefined);
  void full.run();
  await full.push(line);
  const before = getEventListeners(stop.signal, 'abort').length;
  for (let wait = 0; wait < 3; wait++) await full.push(line);
  expect(getEventListeners(stop.signal, 'abort').length).toBeLessThanOrEqual(before);
});

test('whoever waits for room goes on when the session ends', async () => {
  const { stop, sender: full } = sender(async () => undefined);
  const waiting = Promise.all([full.push(line), full.push(line)]);
  stop.abort();
  await waiting;
});
