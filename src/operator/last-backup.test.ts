import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import { connectWhole } from '../kube/whole-cluster.ts';
import { quietReporter } from '../ui/quiet.ts';
import { makeLastBackup } from './last-backup.ts';
import type { HostedControlPlane } from './object.ts';
import type { ReconcileContext } from './plane-account.ts';

// Whoever waits for the end lets the object go, and its plane with all data: an operator that ends has to leave it to the next one.

let infra: http.Server | undefined;

afterEach(() => {
  infra?.closeAllConnections();
  infra?.close();
});

/** An answer of the infra cluster; undefined: none comes. */
type Answer = object | undefined;

const forbidden = { kind: 'Status', reason: 'Forbidden', code: 403 };

/** @param answer called for each request, by default of an infra cluster that refuses everything */
async function backupOf(stop: AbortController, answer: (request: http.IncomingMessage) => Answer) {
  infra = http.createServer((request, response) => {
    const body = answer(request);
    if (body) response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  infra.listen(0, '127.0.0.1');
  await once(infra, 'listening');
  const server = `http://127.0.0.1:${(infra.address() as AddressInfo).port}`;
  const tell = vi.fn(async () => undefined);
  const around: ReconcileContext = {
    whole: connectWhole({ server }),
    hostedBy: 'address',
    identity: 'one',
    timeout: 1000,
    reporter: quietReporter,
    signal: stop.signal,
    tell,
    hold: async () => undefined,
  };
  const object: HostedControlPlane = {
    ...hostedControlPlane,
    metadata: { name: 'k8sk8s', namespace: 'team', uid: 'a', deletionTimestamp: new Date().toISOString() },
    spec: { host: 'k.example.com', deletionPolicy: 'Backup' },
  };
  return { tell, made: makeLastBackup(object, around, 600_000) };
}

test('an operator that has ended before it began says that no backup was made', async () => {
  const stop = new AbortController();
  stop.abort(new Error('ended'));
  const { made } = await backupOf(stop, () => forbidden);
  await expect(made).rejects.toThrow('ended');
});

test('an operator that ends meanwhile says so too, and writes nothing of it into the object', async () => {
  const stop = new AbortController();
  const { made, tell } = await backupOf(stop, () => {
    stop.abort(new Error('ended'));
    return forbidden;
  });
  await expect(made).rejects.toThrow('ended');
  expect(tell).not.toHaveBeenCalled();
});

const isTrial = ({ method, url }: http.IncomingMessage) => method === 'POST' && url?.includes('dryRun=All') === true;

/** As the authorizer of an API server says it. */
const withoutRight = {
  ...forbidden,
  message: 'User "system:serviceaccount:team:k8sk8s-plane" cannot create resource "configmaps" in the namespace "team"',
};

const ending = {
  ...forbidden,
  message: 'unable to create new content in namespace team because it is being terminated',
  details: { causes: [{ reason: 'NamespaceTerminating', field: 'metadata.namespace' }] },
};

test.each([
  ['that ends', ending],
  ['that the operator may not enter any more', withoutRight],
])('nothing is waited for in a namespace %s, whatever is under way', { timeout: 20_000 }, async (_, answer) => {
  // Nothing else is answered, as if a plane that is to wake does not.
  const { made, tell } = await backupOf(new AbortController(), (request) => (isTrial(request) ? answer : undefined));
  await made;
  expect(tell).not.toHaveBeenCalled();
});

test('one refusal, as of an API server that has just started, ends nothing', { timeout: 20_000 }, async () => {
  const stop = new AbortController();
  let trials = 0;
  let isOver = false;
  const { made } = await backupOf(stop, (request) => {
    if (!isTrial(request)) return undefined;
    trials++;
    return trials % 2 === 1 ? withoutRight : { ...forbidden, message: 'admission webhook "x" denied the request' };
  });
  const ended = () => {
    isOver = true;
  };
  made.then(ended, ended);
  await vi.waitUntil(() => trials === 4, { timeout: 15_000 });
  expect(isOver).toBe(false);
  stop.abort(new Error('ended'));
  await expect(made).rejects.toThrow('ended');
});
