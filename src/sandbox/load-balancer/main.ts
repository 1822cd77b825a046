import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Service } from '../../kube/objects.ts';
import { connectWhole, type WholeCluster } from '../../kube/whole-cluster.ts';
import { type Given, LoadBalancer } from './controller.ts';
import { clearNetwork } from './network.ts';
import { poolOf } from './plan.ts';

// The load balancer of a sandbox, a program of its first infra machine (docs/adr/0064-a-load-balancer-for-the-sandbox.md):
// main.mjs SERVER PKI NETWORK FILE [clear].

const [server, pki, network, file, clear] = process.argv.slice(2) as [string, string, string, string, string?];
const ofPki = (name: string) => ({ file: path.join(pki, name) });
const cluster = connectWhole({
  server,
  tls: { authorities: [readFileSync(path.join(pki, 'ca.crt'), 'utf8')] },
  credentials: { client: { certificate: ofPki('admin.crt'), key: ofPki('admin.key') } },
});

if (clear !== undefined) {
  const given = remembered();
  await clearNetwork(poolOf(network));
  await clearStatuses(cluster, given);
} else await balance();

async function balance(): Promise<void> {
  const say = (line: string) => console.log(`${new Date().toISOString()} ${line}`);
  const around = { cluster, network, remembered: remembered(), remember, say };
  // An API server that is away for longer than follow waits for ends the list at the start alone.
  for (;;) {
    await new LoadBalancer(around).run(new AbortController().signal).catch((error: Error) => say(error.message));
    await sleep(1000);
  }
}

function remembered(): Given[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Given[];
  } catch {
    return [];
  }
}

function remember(given: Given[]): void {
  writeFileSync(`${file}.new`, JSON.stringify(given));
  renameSync(`${file}.new`, file);
}

/** Nobody answers at those addresses any more. */
async function clearStatuses(whole: WholeCluster, given: Given[]): Promise<void> {
  const { items } = await whole.list<Service>({ apiVersion: 'v1', kind: 'Service' });
  const own = new Set(given.map(({ uid }) => uid));
  for (const service of items)
    if (own.has(service.metadata.uid!)) await whole.mergeStatus(service, { loadBalancer: { ingress: [] } });
  await whole.close();
}
