import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import type { Lease } from '../kube/objects.ts';
import { connectWhole } from '../kube/whole-cluster.ts';
import { whileLeading } from './leader.ts';
import { Setbacks } from './setbacks.ts';

// That a leader ends in time when nobody answers; who leads and who waits is tested against a real API server.

const pace = { lease: 8000, deadline: 1500, retry: 200 };
const setbacks = new Setbacks(() => undefined);

/** An end of HTTP that has the Lease, until it is told to be silent or to refuse: connections stay open, and nothing comes back. */
async function leaseEnd() {
  let version = 1;
  let lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'x' }, spec: {} } as Lease;
  const end = { mode: 'answers' as 'answers' | 'silent' | 'failing', written: 0, writes: [] as string[] };
  const server = http.createServer(async (request, response) => {
    const body = await text(request);
    if (request.method === 'PUT') end.writes.push((JSON.parse(body) as Lease).spec.holderIdentity ?? '');
    if (end.mode === 'silent') return;
    if (end.mode === 'failing') return void response.writeHead(503).end('{"kind":"Status","message":"etcd is gone"}');
    if (request.method === 'PUT') {
      lease = JSON.parse(body) as Lease;
      end.written = performance.now();
      version++;
    }
    lease.metadata = { ...lease.metadata, resourceVersion: String(version) };
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(lease));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cluster = connectWhole({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  onTestFinished(async () => {
    await cluster.close();
    server.closeAllConnections();
    server.close();
  });
  return { end, cluster };
}

/** Leads until it loses the Lease. @returns when its work was told to end, and why leading ended and when */
async function leads(mode: 'silent' | 'failing') {
  const { end, cluster } = await leaseEnd();
  const signal = new AbortController().signal;
  let stopped = 0;
  const leading = whileLeading(cluster, { namespace: 'ops', identity: 'one', signal, pace, setbacks }, async (told) => {
    setTimeout(() => {
      end.mode = mode;
    }, 600);
    await new Promise((resolve) => told.addEventListener('abort', resolve));
    stopped = performance.now();
  });
  const error = await leading.catch((cause: unknown) => cause);
  return { end, error, stopped, ended: performance.now() };
}

test.each(['silent', 'failing'] as const)(
  'an API server that is %s: work ends before another one may lead',
  async (mode) => {
    const { end, error, stopped, ended } = await leads(mode);
    expect(error).toEqual(refused('leadership-lost'));
    expect(stopped - end.written).toBeLessThan(pace.lease);
    expect(ended - end.written, 'no request is waited for').toBeLessThan(pace.lease);
    expect(new Set(end.writes), 'the Lease of who leads next is not touched').toEqual(new Set(['one']));
  },
);
