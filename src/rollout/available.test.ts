import { once } from 'node:events';
import https from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { connectHosted } from '../kube/connect.ts';
import type { PodWatch } from '../live/pod-watch.ts';
import { createAuthority, issueLeaf } from '../pki/issue.ts';
import { waitAvailable } from './available.ts';

it('a connection that its ingress controller lost is not waited for', async () => {
  const authority = await createAuthority('ca');
  const issue = (usage: 'serverAuth' | 'clientAuth') =>
    issueLeaf(authority, { commonName: 'any', usages: [usage], ipAddresses: ['127.0.0.1'] });
  const served = await issue('serverAuth');
  const apiServer = https
    .createServer({ cert: served.certificate, key: served.key }, (_, answer) => answer.end('ok'))
    .listen(0, '127.0.0.1');
  const taken: Socket[] = [];
  const ingress = createServer((socket) => {
    taken.push(socket);
    socket.on('error', () => undefined);
    if (taken.length === 1) return void socket.resume();
    const onward = connect((apiServer.address() as AddressInfo).port, '127.0.0.1');
    // It may be reset while the API server of the test is closed.
    onward.on('error', () => undefined);
    socket.pipe(onward).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(ingress, 'listening');
  const hosted = connectHosted({
    server: `https://127.0.0.1:${(ingress.address() as AddressInfo).port}`,
    certificateAuthority: authority.certificate,
    client: await issue('clientAuth'),
  });
  const nothingWrong = {
    failure: undefined,
    apiServerReady: true,
    waitingFor: () => undefined,
  } as unknown as PodWatch;
  const phase = { update: () => undefined, done: () => undefined, fail: () => undefined };
  try {
    await waitAvailable(hosted, nothingWrong, { timeout: 30_000, phase, signal: new AbortController().signal });
    expect(taken.length).toBeGreaterThan(1);
    // Nobody has given it up yet: another one was tried beside it.
    expect(taken[0]!.readableEnded || taken[0]!.destroyed).toBe(false);
  } finally {
    await hosted.close();
    for (const socket of taken) socket.destroy();
    ingress.close();
    apiServer.close();
  }
});
