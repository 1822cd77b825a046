import { readFileSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createBoundedLog } from '../bounded-log.ts';
import { connectApi } from '../connect-proxy/api.ts';
import { createProxy } from '../connect-proxy/proxy.ts';
import { Destinations } from './destinations.ts';
import { keepEndpoints } from './endpoints.ts';
import { infraIssuer, isInfraIssuer } from './infra-issuer.ts';
import { openInside } from './inside.ts';
import { Kubelets } from './kubelet.ts';
import { Openings } from './openings.ts';
import { openOutside } from './outside.ts';

// The gate stands beside the API server, in its pod, and all that the API server opens for its tenants goes through it: CONNECT on
// UNIX sockets, one for each egress selection. It has no state; a restart costs the connections that were open.

const { values } = parseArgs({
  options: {
    /** Socket of the selection `cluster`: kubelets, pods, services. Another program serves it when left out. */
    cluster: { type: 'string' },
    /** Socket of the selection `controlplane`: what is named by URL. */
    controlplane: { type: 'string' },
    server: { type: 'string' },
    credentials: { type: 'string' },
    /** Where pods are reached, a network or two; none are when left out. */
    'pod-cidr': { type: 'string' },
    closed: { type: 'string', multiple: true },
    open: { type: 'string', multiple: true },
    /** File with more of these, which changes while this runs. */
    openings: { type: 'string' },
    /** Folder with the token and the CA of a ServiceAccount of the infra cluster, whose issuer this stands for. */
    'infra-credentials': { type: 'string' },
    /** Of the API server beside this: its pod, and where pods of the hosted cluster reach it. */
    pod: { type: 'string' },
    'advertise-address': { type: 'string' },
    'advertise-port': { type: 'string' },
  },
});
const { cluster, controlplane = '', server = '', credentials = '', 'pod-cidr': podCidr } = values;

/** The whole time for a kubelet is below its veil, that for each address of a name below the proxy's own limit. */
const kubeletMilliseconds = 4500;
const kubeletVeil = 5000;
const outsideMilliseconds = 3000;
const outsideVeil = 2000;

/** Of the file of openings, where none is named. */
const nothing = JSON.stringify({ open: [], discovery: [] });

const say = createBoundedLog((line) => console.error(line));

const api = connectApi(server, credentials);
if (cluster !== undefined) {
  const destinations = new Destinations(api, podCidr);
  const trusted = () => readFileSync(`${credentials}/kubelet-serving-ca.crt`, 'utf8');
  const kubelets = new Kubelets(trusted, kubeletMilliseconds);
  const ways = { destinations, kubelets, api, say };
  listen(
    createProxy({
      open: (host, port) => openInside(ways, host, port, kubeletMilliseconds),
      veil: kubeletVeil,
      say: (words) => say(`cluster: ${words}`),
    }),
    cluster,
  );
}

const openings = new Openings(
  { closed: [...(values.closed ?? []), ...ownNetworks()], open: values.open ?? [] },
  () => (values.openings === undefined ? nothing : readFileSync(values.openings, 'utf8')),
  say,
);
const { 'infra-credentials': infraFolder } = values;
const issuer = infraFolder === undefined ? undefined : infraIssuer(infraFolder, credentials, say);
listen(
  createProxy({
    open: async (host, port) =>
      issuer && isInfraIssuer(host, port) ? issuer() : openOutside(openings, host, port, outsideMilliseconds),
    veil: outsideVeil,
    say: (words) => say(`controlplane: ${words}`),
  }),
  controlplane,
);

const ending = new AbortController();
const { pod, 'advertise-address': address, 'advertise-port': advertisedPort } = values;
const told =
  pod !== undefined && address !== undefined
    ? keepEndpoints(api, { pod, address, port: Number(advertisedPort) }, ending.signal, (words) =>
        say(`endpoints: ${words}`),
      )
    : Promise.resolve();

process.once('SIGTERM', () => {
  ending.abort();
  void told.then(endAfterApiServer);
});

function listen(proxy: Server, socket: string): void {
  // What an earlier container of the same pod left: nothing listens there any more.
  rmSync(socket, { force: true });
  proxy.listen(socket, () => console.log(`listening on ${socket}`));
}

/** The networks of this pod, which may be of a public range: pods of the infra cluster are its neighbours. */
function ownNetworks(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => addresses?.flatMap(({ cidr }) => cidr ?? []) ?? []);
}

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
