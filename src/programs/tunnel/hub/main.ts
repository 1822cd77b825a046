import { readFileSync, rmSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createBoundedLog } from '../../bounded-log.ts';
import { connectApi } from '../../connect-proxy/api.ts';
import { Networks } from '../../connect-proxy/networks.ts';
import { createProxy } from '../../connect-proxy/proxy.ts';
import { openByGate } from './by-gate.ts';
import { createDoor, type DoorKeys } from './door.ts';
import { readHubs } from './hubs.ts';
import { addressesOf } from './nodes.ts';
import { Tunnels } from './tunnels.ts';

// The hub stands beside the gate in the API server's pod (docs/adr/0062-workers-that-nobody-can-dial.md). Agents of workers that nobody can
// dial open a tunnel to it. It serves the egress selection `cluster`: kubelets that have a tunnel through it, all else by the gate.

const { values } = parseArgs({
  options: {
    /** Socket of the egress selection `cluster`, and the one of the gate that serves what has no tunnel. */
    cluster: { type: 'string', default: '' },
    gate: { type: 'string', default: '' },
    /** Where agents knock. */
    port: { type: 'string', default: '' },
    'kubelet-port': { type: 'string', default: '10250' },
    /** Where pods are, one network or two: no kubelet is there, whatever its certificate says. */
    'pod-cidr': { type: 'string' },
    server: { type: 'string', default: '' },
    credentials: { type: 'string', default: '' },
    /** Of the API server beside this. */
    pod: { type: 'string', default: '' },
  },
});
const { cluster, gate, server, credentials, pod } = values;
const kubeletPort = Number(values['kubelet-port']);
const ofPods = new Networks(values['pod-cidr']?.split(','));

/** Between two looks at which hubs there are, and at the certificates. */
const lookMilliseconds = 1000;
/** As of the gate, whose refusals come after as long. */
const veil = 5000;

const say = createBoundedLog((line) => console.error(line));
const file = (name: string) => readFileSync(`${credentials}/${name}`, 'utf8');
const readKeys = (): DoorKeys => ({ cert: file('tunnel.crt'), key: file('tunnel.key'), ca: file('client-ca.crt') });

const api = connectApi(server, credentials);
const tunnels = new Tunnels(
  pod,
  () => file('kubelet-serving-ca.crt'),
  (node) => addressesOf(api, node),
  say,
);
const proxy = createProxy({
  open: async (host, port) =>
    (port === kubeletPort && isIPv4(host) && !ofPods.have(host) ? await tunnels.open(host) : undefined) ??
    openByGate(gate, host, port),
  veil,
  say,
});
rmSync(cluster, { force: true });
proxy.listen(cluster, () => console.log(`listening on ${cluster}`));

let keys = readKeys();
const { hostname, port } = new URL(server);
const door = createDoor(keys, tunnels, { host: hostname, port: Number(port) }, say);
door.server.listen(Number(values.port), () => console.log(`listening on port ${values.port}`));

process.once('SIGTERM', () => {
  // Agents look for another hub at once; requests that the API server still finishes need the socket a little longer.
  door.server.close();
  setTimeout(() => process.exit(0), 10_000);
});

for (;;) {
  await sleep(lookMilliseconds);
  try {
    renewKeys();
    tunnels.hubsAre(await readHubs(api));
  } catch (error) {
    say(`hubs: ${(error as Error).message}`);
  }
}

function renewKeys(): void {
  const now = readKeys();
  if (now.cert === keys.cert && now.ca === keys.ca) return;
  door.server.setSecureContext({ ...now, minVersion: 'TLSv1.2' });
  if (now.ca !== keys.ca) {
    tunnels.closeAll();
    door.closeRelays();
  }
  keys = now;
}
