// Asks a hosted cluster for something every 100 ms until it is ended: a read and a write, each by a new connection and by a kept
// one. It runs beside the tests and in pods of the hosted cluster, so it needs nothing but Node.
// One line of JSON on standard output for each request: when it began, which kind, milliseconds, and the error if there was one.
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const { SERVER, CA, CERT, KEY, TOKEN, PATH_OF_OBJECT, ENDPOINTS } = process.env;
const tls = { ca: readFileSync(CA), ...(CERT && { cert: readFileSync(CERT), key: readFileSync(KEY) }) };
const kept = [0, 1].map(() => new https.Agent({ ...tls, keepAlive: true, maxSockets: 1 }));

function ask(agent, method, path) {
  return new Promise((resolve, reject) => {
    const headers = {
      'Content-Type': 'application/merge-patch+json',
      // Tokens of pods are renewed in their file.
      ...(TOKEN && { Authorization: `Bearer ${readFileSync(TOKEN, 'utf8')}` }),
    };
    const connection = agent ? { agent } : { agent: false, ...tls };
    const options = { method, headers, signal: AbortSignal.timeout(5000), ...connection };
    const request = https.request(`${SERVER}${path}`, options, (response) => {
      text(response).then(
        (words) => (response.statusCode === 200 ? resolve(words) : reject(new Error(`${response.statusCode}`))),
        reject,
      );
    });
    request.once('error', reject);
    const annotations = { visited: `${Date.now()}` };
    request.end(method === 'PATCH' ? JSON.stringify({ metadata: { annotations } }) : '');
  });
}

function tell(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** A client may try again once, after a second. */
async function visit(kind, agent, method) {
  for (;;) {
    const next = sleep(100);
    for (const again of [false, true]) {
      const at = Date.now();
      if (again) await sleep(1000);
      const error = await ask(agent, method, PATH_OF_OBJECT).then(
        () => undefined,
        (failure) => failure.code ?? failure.message,
      );
      tell({ at, kind, ms: Date.now() - at, again, error });
      if (error === undefined) break;
    }
    await next;
  }
}

async function watchEndpoints() {
  for (;;) {
    const at = Date.now();
    const answer = await ask(undefined, 'GET', ENDPOINTS).catch(() => undefined);
    if (answer !== undefined) {
      const addresses = (JSON.parse(answer).endpoints ?? []).flatMap((each) => each.addresses).join();
      tell({ at, kind: 'endpoints', addresses });
    }
    await sleep(200);
  }
}

process.once('SIGTERM', () => process.exit(0));
await Promise.all([
  visit('read, new connection', undefined, 'GET'),
  visit('read, kept connection', kept[0], 'GET'),
  visit('write, new connection', undefined, 'PATCH'),
  visit('write, kept connection', kept[1], 'PATCH'),
  ...(ENDPOINTS ? [watchEndpoints()] : []),
]);
