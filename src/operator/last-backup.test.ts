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

/** An infra cluster that refuses everything. @param onRequest told of each request */
async function backupOf(stop: AbortController, onRequest: () => void) {
  infra = http.createServer((_, response) => {
    onRequest();
    response.writeHead(403, { 'content-type': 'application/json' }).end('{"kind":"Status","reason":"Forbidden"}');
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
  const { made } = await backupOf(stop, () => undefined);
  await expect(made).rejects.toThrow('ended');
});

test('an operator that ends meanwhile says so too, and writes nothing of it into the object', async () => {
  const stop = new AbortController();
  const { made, tell } = await backupOf(stop, () => stop.abort(new Error('ended')));
  await expect(made).rejects.toThrow('ended');
  expect(tell).not.toHaveBeenCalled();
});
