import { readFileSync, statfsSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectInfra } from '../../kube/connect.ts';
import { inClusterConnection, namespaceInCluster } from '../../kubeconfig/in-cluster.ts';
import { ownSurroundings } from '../../kubeconfig/surroundings.ts';
import { Positions } from './positions.ts';
import { Session } from './session.ts';
import { settleWithStore } from './settle.ts';
import { Store } from './store.ts';

// Runs beside VictoriaLogs in one pod. It reads the logs of the plane's pods by the infra cluster's API, as `kubectl logs -f` does,
// and hands each line on with what is searchable in it. While the store takes nothing, it reads nothing: lines wait in the files of
// the infra nodes, and nothing of the plane waits for them.

const { values: options } = parseArgs({
  options: {
    selector: { type: 'string' },
    user: { type: 'string' },
    'password-file': { type: 'string' },
    'store-port': { type: 'string' },
    'health-port': { type: 'string' },
    'status-port': { type: 'string' },
    state: { type: 'string' },
  },
});

const password = () => readFileSync(options['password-file']!, 'utf8').trim();
const store = new Store(Number(options['store-port']), { user: options.user!, password });
const positions = new Positions(options.state!);
const surroundings = ownSurroundings();
const cluster = connectInfra(inClusterConnection(surroundings), namespaceInCluster(surroundings));

let session: Session | undefined;
let ending = false;
/** The store may have lines of which it did not say so: of a follower before this one, nobody knows. */
let unanswered = true;
/** Why nothing is taken over now; absent while all is well. */
let trouble: string | undefined = 'the store has not answered yet';

serve();
process.once('SIGTERM', () => void end());
while (!ending) {
  if (await store.answers()) {
    trouble = undefined;
    await settleWithStore(positions, store, unanswered).catch((error: Error) =>
      console.error(`the store was not asked: ${error.message}`),
    );
    session = new Session(cluster, options.selector!, positions, store);
    await session.run().catch((error: Error) => {
      trouble = error.message;
      console.error(`begins anew: ${trouble}`);
    });
    unanswered = session.sender.unanswered;
    session = undefined;
  } else trouble ??= 'the store does not answer';
  // Rights that are missing do not come by asking every second.
  if (!ending) await sleep(trouble === undefined ? 1000 : 3000);
}

/** What is on its way is given a moment. */
async function end(): Promise<void> {
  ending = true;
  // What ended just before is read to its end.
  await sleep(2500);
  for (let waited = 0; waited < 3000 && session && !session.sender.idle; waited += 100) await sleep(100);
  session?.end();
  positions.save();
  process.exit(0);
}

/** For the kubelet's probes everything but words; what went wrong is told to who may enter the pod. */
function serve(): void {
  http
    .createServer(async (request, response) => {
      response.statusCode = request.url === '/readyz' && !(await store.answers()) ? 503 : 200;
      response.end();
    })
    .listen(Number(options['health-port']));
  http
    .createServer((_, response) => {
      const { lines, losses, lately } = positions.counts;
      const refusal = session?.sender.refusal;
      response.end(
        JSON.stringify({
          lines,
          losses,
          lately,
          trouble: trouble ?? refusal,
          full: isFull(),
          waiting: !(session?.sender.idle ?? true),
        }),
      );
    })
    .listen(Number(options['status-port']), '127.0.0.1');
}

/** As the store sees it, which takes no more lines with less than these bytes (its -storage.minFreeDiskSpaceBytes). */
function isFull(): boolean {
  try {
    const { bavail, bsize } = statfsSync(path.dirname(options.state!));
    return bavail * bsize < 10e6;
  } catch {
    return false;
  }
}
