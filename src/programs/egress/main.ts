import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectApi } from './api.ts';
import { Destinations } from './destinations.ts';
import { createProxy } from './proxy.ts';

// Runs beside the API server, in its pod, and takes its connections to nodes and pods of the hosted cluster: CONNECT on
// a UNIX socket. It has no state; a restart costs the connections that were open.

const { values } = parseArgs({
  options: {
    socket: { type: 'string' },
    server: { type: 'string' },
    credentials: { type: 'string' },
    'pod-cidr': { type: 'string' },
  },
});
const { socket = '', server = '', credentials = '', 'pod-cidr': podCidr = '' } = values;

const api = connectApi(server, credentials);
const proxy = createProxy({ destinations: new Destinations(api, podCidr), api, say: sayOnceAMinute() });

// What an earlier container of the same pod left: nothing listens there any more.
rmSync(socket, { force: true });
proxy.listen(socket, () => console.log(`listening on ${socket} for ${podCidr} and the nodes`));
process.once('SIGTERM', () => void endAfterApiServer());

/** The pod ends: requests that the API server still finishes may need a webhook, so its listener goes first. */
async function endAfterApiServer(): Promise<void> {
  const { hostname, port } = new URL(server);
  while (await listens(hostname, Number(port))) await sleep(200);
  process.exit(0);
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const attempt = connect({ host, port, timeout: 1000 });
    const answer = (open: boolean) => {
      attempt.destroy();
      resolve(open);
    };
    attempt.once('connect', () => answer(true));
    attempt.once('timeout', () => answer(false));
    attempt.once('error', () => answer(false));
  });
}

/** The same words once a minute: who asks again and again is not to fill the log. */
function sayOnceAMinute(): (words: string) => void {
  const said = new Map<string, number>();
  return (words) => {
    const now = performance.now();
    if (now - (said.get(words) ?? Number.NEGATIVE_INFINITY) < 60_000) return;
    if (said.size >= 200) said.clear();
    said.set(words, now);
    console.error(words);
  };
}
