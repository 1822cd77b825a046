import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import type tls from 'node:tls';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { refused } from '../../test/refused.ts';
import { forwardProtocol } from '../kube/forward.ts';
import { InfraCluster } from '../kube/infra-cluster.ts';
import { Transport } from '../kube/transport.ts';
import { context } from '../pki/certificates.fixture.ts';
import { ensureCertificates, type PkiBundle } from '../pki/certificates.ts';
import { EtcdGateway } from './gateway.ts';

// A member that is frozen, behind a port-forward: its port accepts connections, and nothing ever comes back.

let frozen: WebSocketServer;
let cluster: InfraCluster;
let bundle: PkiBundle;

beforeAll(async () => {
  ({ bundle } = await ensureCertificates(undefined, context, { keyType: 'ec' }));
  frozen = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => forwardProtocol });
  frozen.on('connection', (client) => {
    for (const channel of [0, 1]) client.send(Buffer.from([channel, 0, 0]));
  });
  await once(frozen, 'listening');
  const server = `http://127.0.0.1:${(frozen.address() as AddressInfo).port}`;
  cluster = new InfraCluster(new Transport({ server }), 'team');
});

afterAll(() => {
  frozen.close();
});

const gone = () => vi.waitFor(() => expect(frozen.clients.size).toBe(0), 2000);

test('who has waited long enough for a frozen member is not kept, and its connection is closed', async () => {
  const begun = performance.now();
  const asked = EtcdGateway.ofPod(cluster, bundle, 'etcd-0').status(AbortSignal.timeout(300));
  await expect(asked).rejects.toMatchObject({ name: 'TimeoutError' });
  expect(performance.now() - begun).toBeLessThan(2000);
  await gone();
});

test('who would wait for ever is told that a frozen member does not answer', async () => {
  const asked = EtcdGateway.ofPod(cluster, bundle, 'etcd-0', 300).snapshot();
  await expect(asked).rejects.toEqual(refused('etcd-unreachable', 'nothing came from it'));
  await gone();
});

/** What stands in the place of a member, and answers with `piece` again and again. */
async function endless(piece: string): Promise<{ gateway: EtcdGateway; close(): void }> {
  const server = http.createServer((request, response) => {
    const go = () => {
      while (!response.destroyed && response.write(piece));
    };
    response.on('drain', go).on('error', () => undefined);
    request.resume();
    go();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const gateway = new EtcdGateway(async () => net.connect(port, '127.0.0.1') as unknown as tls.TLSSocket);
  return {
    gateway,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const blob = `${JSON.stringify({ result: { remaining_bytes: '0', blob: Buffer.alloc(1 << 16).toString('base64') } })}\n`;

test('what answers without an end is no member: neither its words, nor a line, nor a snapshot are read to that end', async () => {
  const words = await endless(' '.repeat(1 << 16));
  const many = await endless(blob);
  try {
    await expect(words.gateway.status()).rejects.toEqual(refused('etcd-unreachable', 'MiB'));
    await expect(words.gateway.snapshot()).rejects.toEqual(refused('etcd-unreachable', 'MiB'));
    const { chunks, size } = await many.gateway.snapshot();
    const all = async () => {
      for await (const _ of chunks);
    };
    await expect(all()).rejects.toEqual(refused('etcd-unreachable', `${size}`));
  } finally {
    words.close();
    many.close();
  }
});
