import { mkdtempSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { type Position, Positions } from './positions.ts';
import { settleWithStore } from './settle.ts';
import { Store } from './store.ts';

const at = (second: number) => `2026-05-01T12:00:${String(second).padStart(2, '0')}.000000001Z`;

/** A store that has lines of these times, of container etcd of pod etcd-0. */
async function storeOf(times: string[], passwords: string[] = []) {
  const shown: string[] = [];
  const server = http.createServer(async (request, response) => {
    shown.push(request.headers.authorization ?? '');
    const query = new URLSearchParams(await text(request)).get('query')!;
    const [, exactly] = /_time:\[(\S+), /.exec(query) ?? [];
    const lines = exactly === undefined ? times : times.filter((time) => time === exactly);
    const answer =
      exactly === undefined ? { pod: 'etcd-0', container: 'etcd', last: times.at(-1) } : { lines: `${lines.length}` };
    response.end(lines.length > 0 ? `${JSON.stringify(answer)}\n` : '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const password = () => passwords.shift() ?? 'b';
  return { shown, store: new Store((server.address() as AddressInfo).port, { user: 'a', password }) };
}

const noted = (more: Partial<Position>): Position => ({
  pod: 'etcd-0',
  container: 'etcd',
  component: 'etcd',
  restarts: 0,
  ended: true,
  ...more,
});

const positionsWith = (position: Position) => {
  const positions = new Positions(path.join(mkdtempSync(path.join(tmpdir(), 'settle-')), 'state.json'));
  positions.took(1, [['uid/etcd', position]]);
  return positions;
};

async function settled(times: string[], position: Partial<Position>, unanswered = false) {
  const positions = positionsWith(noted(position));
  await settleWithStore(positions, (await storeOf(times)).store, unanswered);
  const { time, same, ended } = positions.get('uid/etcd')!;
  return { time, same, ended };
}

test('a store that was killed is asked for what it has, however old the lines are that it took last', async () => {
  expect(await settled([at(1), at(2), at(2)], { time: at(9), same: 1 })).toEqual({
    time: at(2),
    same: 2,
    ended: false,
  });
  expect(await settled([at(1), at(2)], { time: at(2), same: 3 })).toEqual({ time: at(2), same: 1, ended: false });
  expect(await settled([], { time: at(9), same: 1 })).toEqual({ time: undefined, same: undefined, ended: false });
  expect(await settled([at(2)], { time: at(2), same: 1 })).toEqual({ time: at(2), same: 1, ended: true });
});

test('lines that the store took without an answer come no second time', async () => {
  expect(await settled([at(1), at(5)], { time: at(1), same: 1 }, true)).toEqual({ time: at(5), same: 1, ended: false });
  expect(await settled([at(1), at(5)], { time: at(1), same: 1 })).toEqual({ time: at(1), same: 1, ended: true });
});

test('the store is shown the password as it is now', async () => {
  const { shown, store } = await storeOf([], ['old', 'new']);
  await store.query('*');
  await store.query('*');
  const passwords = shown.map((header) => Buffer.from(header.split(' ')[1]!, 'base64').toString());
  expect(passwords).toEqual(['a:old', 'a:new']);
});
