import { mkdtempSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { ContainerLog, type LogRequest, type SeenContainer } from './container-log.ts';
import { Positions } from './positions.ts';
import { Sender } from './sender.ts';
import { loseUnseen } from './session.ts';
import { Store } from './store.ts';

/** The store's end: what it was sent, and with which answer it takes that. */
function storeEnd() {
  const got: Record<string, string>[] = [];
  const end = { got, status: 200 };
  const server = http.createServer(async (request, response) => {
    const body = await text(request);
    if (end.status === 200)
      got.push(
        ...body
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, string>),
      );
    response.writeHead(end.status).end('full');
  });
  return { end, server };
}

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const at = (second: number) => `2026-05-01T12:00:${String(second).padStart(2, '0')}.000000001Z`;

async function world(file: string, log: (request: LogRequest, stop: AbortController) => string[], restarts = 0) {
  const { end, server } = storeEnd();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = new AbortController();
  const positions = new Positions(file);
  const sender = new Sender(
    new Store((server.address() as AddressInfo).port, { user: 'a', password: () => 'b' }),
    positions,
    stop.signal,
  );
  const asked: LogRequest[] = [];
  const seen: SeenContainer = {
    pod: 'etcd-0',
    container: 'etcd',
    component: 'etcd',
    restarts,
    running: false,
    ran: true,
    gone: false,
  };
  const api = {
    open: async (_: string, request: LogRequest) => {
      asked.push(request);
      return Readable.from(log(request, stop).map((line) => `${line}\n`));
    },
  };
  const running = sender.run().catch(() => undefined);
  const done = new ContainerLog('uid/etcd', () => seen, { api, sender, positions, signal: stop.signal }).run();
  stops.push(() => {
    stop.abort();
    server.close();
    server.closeAllConnections();
  });
  return { end, positions, asked, seen, sender, done, stop, running };
}

const fresh = () => path.join(mkdtempSync(path.join(tmpdir(), 'follower-')), 'state.json');
/** The positions of a follower that has read the log so far. */
const readUntil = (time: string) => {
  const file = fresh();
  const before = new Positions(file);
  before.set('uid/etcd', {
    pod: 'etcd-0',
    container: 'etcd',
    component: 'etcd',
    restarts: 0,
    time,
    ended: false,
  });
  before.save();
  return file;
};
const until = async (is: () => boolean) => {
  for (let waited = 0; waited < 8000 && !is(); waited += 50) await sleep(50);
  expect(is()).toBe(true);
};

test('lines are stored once, and another follower goes on where the store ends', async () => {
  const file = fresh();
  const first = await world(file, () => [`${at(1)} one`, `${at(2)} two`]);
  await until(() => first.end.got.length === 2);
  expect(first.end.got[0]).toMatchObject({ _time: at(1), _msg: 'one', component: 'etcd', pod: 'etcd-0' });
  await until(() => first.positions.get('uid/etcd')?.ended === true);
  first.positions.save();
  first.stop.abort();
  await first.done;
  const second = await world(file, () => [`${at(2)} two`, `${at(3)} three`]);
  second.seen.running = true;
  await until(() => second.end.got.length === 1);
  expect(second.end.got[0]!._msg).toBe('three');
  expect(second.asked[0]).toMatchObject({ follow: true, sinceTime: '2026-05-01T12:00:02Z' });
  expect(second.positions.counts.losses).toBe(0);
});

test('a line that is known and does not come again means that lines may be missing, and that is told in the store too', async () => {
  const file = readUntil(at(1));
  const { end, positions } = await world(file, () => [`${at(30)} later`]);
  await until(() => end.got.length === 2);
  expect(end.got.find(({ type }) => type === 'loss')?._msg).toContain(`between ${at(1)} and ${at(30)}`);
  expect(positions.counts).toMatchObject({ losses: 1 });
});

test('a container that was started again is read to its end first; what no kubelet keeps is counted', async () => {
  const file = readUntil(at(1));
  const { end, positions, seen } = await world(
    file,
    ({ previous }) => (previous ? [`${at(1)} known`, `${at(2)} last words`] : [`${at(9)} anew`]),
    1,
  );
  await until(() => end.got.some(({ _msg }) => _msg === 'anew'));
  expect(end.got.map(({ _msg }) => _msg)).toContain('last words');
  expect(positions.counts.losses).toBe(0);
  seen.restarts = 4;
  await until(() => positions.counts.losses === 1);
  expect(positions.counts.lately[0]!.what).toContain('2 whole logs');
});

test('while the store takes nothing, nothing more is read and nothing is lost', async () => {
  const many = Array.from({ length: 60 }, (_, n) => `${at(n)} ${'x'.repeat(60_000)}`);
  const { end, sender, positions } = await world(fresh(), () => many);
  end.status = 429;
  await until(() => sender.refusal !== undefined);
  await sleep(300);
  expect(positions.counts.lines).toBe(0);
  end.status = 200;
  // Lines count when the store has answered, which is after it has them.
  await until(() => positions.counts.lines === 60);
  expect(end.got.map(({ _time }) => _time)).toEqual(many.map((line) => line.split(' ')[0]));
  expect(positions.counts.losses).toBe(0);
});

test('lines of one time are lines all the same, and those that the store has come no second time', async () => {
  const file = fresh();
  const burst = ['one', 'two', 'three'].map((line) => `${at(1)} ${line}`);
  const first = await world(file, () => burst.slice(0, 2));
  await until(() => first.end.got.length === 2 && first.positions.get('uid/etcd')?.ended === true);
  first.positions.save();
  first.stop.abort();
  await first.done;
  const second = await world(file, () => [...burst, `${at(2)} four`]);
  second.seen.running = true;
  await until(() => second.end.got.length === 2);
  expect(second.end.got.map(({ _msg }) => _msg)).toEqual(['three', 'four']);
  expect(second.positions.counts.losses).toBe(0);
});

test("a node's clock that goes back, and its time zone, lose no line and order none wrongly", async () => {
  const written = [
    '2026-10-25T02:59:59.500000000+02:00 before',
    '2026-10-25T02:00:00.500000000+01:00 in winter',
    '2026-10-24T23:00:00.000000000Z set back',
    '2026-10-24T23:00:01.000000000Z later',
  ];
  const file = fresh();
  const { end, positions, done, stop } = await world(file, () => written);
  await until(() => end.got.length === 4 && positions.get('uid/etcd')?.ended === true);
  expect(end.got[0]).toMatchObject({ _time: '2026-10-25T00:59:59.500000000Z', _msg: 'before' });
  expect(end.got[1]).toMatchObject({ _time: '2026-10-25T01:00:00.500000000Z', _msg: 'in winter' });
  positions.save();
  stop.abort();
  await done;
  const next = await world(file, () => [written.at(-1)!, '2026-10-25T00:00:02+01:00 new']);
  next.seen.running = true;
  await until(() => next.end.got.length === 1);
  expect(next.asked[0]!.sinceTime).toBe('2026-10-24T23:00:01Z');
  expect(next.positions.counts.losses).toBe(0);
});

test('what the next session reads is not lost because this one ends', async () => {
  const { positions, done } = await world(
    readUntil(at(1)),
    (_, stop) => {
      stop.abort();
      throw new Error('aborted');
    },
    1,
  );
  await done;
  expect(positions.counts.losses).toBe(0);
  expect(positions.get('uid/etcd')).toMatchObject({ restarts: 0, time: at(1) });
});

test('a pod that goes while the store takes nothing is known until the store has its lines', async () => {
  const { end, positions, seen, sender, done, stop } = await world(fresh(), () => [`${at(1)} last words`]);
  end.status = 429;
  await until(() => sender.refusal !== undefined);
  // The log came to its end.
  await sleep(1200);
  seen.gone = true;
  await sleep(1200);
  end.status = 200;
  await done;
  expect(end.got.map(({ _msg }) => _msg)).toEqual(['last words']);
  expect(positions.get('uid/etcd')).toBeUndefined();
  expect(positions.counts.losses).toBe(0);
  stop.abort();
});

test('a pod that goes after its log came to an end is no loss, nor is what the kubelet says of a container that was removed', async () => {
  let asked = 0;
  const { positions, seen, end, done } = await world(fresh(), () =>
    asked++ === 0 ? [`${at(1)} last words`] : ['unable to retrieve container logs for containerd://1b2c'],
  );
  seen.running = true;
  await until(() => end.got.length === 1 && asked > 1);
  seen.gone = true;
  await done;
  expect(positions.counts.losses).toBe(0);
  expect(end.got.map(({ _msg }) => _msg)).toEqual(['last words']);
});

test('a pod that went while nobody read its log is told among the lines, as it is counted', async () => {
  const file = fresh();
  const before = new Positions(file);
  const of = { container: 'etcd', component: 'etcd', restarts: 0, time: at(1) };
  before.set('gone/etcd', { ...of, pod: 'etcd-1', ended: false });
  before.set('over/etcd', { ...of, pod: 'etcd-2', ended: true });
  before.save();
  const { end, positions, sender } = await world(file, () => [`${at(2)} two`]);
  loseUnseen(positions, new Map([['uid/etcd', {}]]), sender);
  await until(() => end.got.some(({ type }) => type === 'loss'));
  expect(end.got.filter(({ type }) => type === 'loss')).toMatchObject([
    { pod: 'etcd-1', _msg: expect.stringContaining('its pod etcd-1 went') },
  ]);
  expect(positions.counts.losses).toBe(1);
  expect(positions.get('over/etcd')).toBeUndefined();
});

test('lines that the store refuses for good are a loss that is told once', async () => {
  const { end, positions } = await world(fresh(), () => [`${at(1)} one`, `${at(2)} two`]);
  end.status = 400;
  await until(() => positions.counts.losses === 1);
  // That it is told is refused as well.
  await sleep(1000);
  expect(positions.counts).toMatchObject({ losses: 1, lately: [{ what: expect.stringContaining('2 lines') }] });
});
