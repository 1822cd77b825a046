import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { expect, onTestFinished, test } from 'vitest';
import { writeArchive } from '../../src/backup/archive.ts';
import { parseSpec } from '../../src/config/parse.ts';
import type { KubeObject, Service } from '../../src/kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../../src/live/apply.ts';
import { type RestoreRequest, restore } from '../../src/operations/restore/restore.ts';
import { ensureCertificates } from '../../src/pki/certificates.ts';
import { certificateContext, renderPlane } from '../../src/plane/render.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { fixedPlane } from '../golden/plane.ts';
import { refused } from '../refused.ts';
import { ownSnapshot } from './own-etcd.ts';
import { type Delegate, newNamespace, request } from './world.ts';

// `restore --replace` over a plane, against a real API server. No node runs its etcd here, so it cannot be backed up: that is as far as
// a restore comes that could be done.

const secretKind = { apiVersion: 'v1', kind: 'Secret' };

/** A namespace with an available plane, and the file of a backup of it. */
async function planeAndBackup() {
  const team = await newNamespace();
  const { cluster, name } = team;
  const spec = parseSpec({ host: 'localhost', etcdStorage: 'ephemeral' }, 'in a test');
  const plane = await fixedPlane(spec, 'available');
  const context = certificateContext(name, plane.spec, plane.addresses);
  const { bundle } = await ensureCertificates(undefined, context, { keyType: 'ec' });
  const rendered = renderPlane({ ...plane, bundle });
  const { planeId } = plane.record;
  await applyAll(cluster, planeId, rendered.all(), await Existing.read(cluster), nothingApplied(), quietReporter);
  const service = await cluster.get<Service>({ apiVersion: 'v1', kind: 'Service' }, 'apiserver');
  const { publicServer, workerServer } = plane.addresses;
  const { snapshot } = ownSnapshot();
  const head = {
    format: 1 as const,
    created: '2026-01-01T00:00:00.000Z',
    toolVersion: '0.1.0',
    namespace: name,
    record: plane.record,
    addresses: { publicServer, workerServer, nodePort: service!.spec.ports![0]!.nodePort!, infraNodes: [] },
    etcd: { version: '3.7.3', revision: 1 },
  };
  const folder = mkdtempSync(path.join(tmpdir(), 'restore-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'backup');
  const chunks = (async function* () {
    yield snapshot;
  })();
  await pipeline(writeArchive(head, rendered.secrets, { size: snapshot.length, chunks }), createWriteStream(file));
  return { ...team, folder, file };
}

/** What the restore says against it; nothing of the plane was touched by then. */
async function replaced(
  { cluster, folder, file }: Delegate & { folder: string; file: string },
  more: Partial<RestoreRequest> = {},
) {
  const uids = async () => {
    const kinds = [secretKind, { apiVersion: 'apps/v1', kind: 'StatefulSet' }, { apiVersion: 'v1', kind: 'ConfigMap' }];
    const lists = await Promise.all(kinds.map((kind) => cluster.list<KubeObject>(kind)));
    return lists.flatMap(({ items }) => items.map(({ metadata }) => metadata.uid));
  };
  const before = await uids();
  const outcome = await restore(cluster, {
    reporter: quietReporter,
    timeout: 2000,
    signal: new AbortController().signal,
    file,
    keys: { identities: [] },
    changes: {},
    replace: { safetyBackup: path.join(folder, 'safety') },
    oldPlaneIsDown: false,
    files: { dir: path.join(folder, 'tls'), force: false },
    ...more,
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(await uids()).toEqual(before);
  return outcome;
}

test('a plane is replaced by the one of its backup as far as can be seen before: it is backed up next', async () => {
  expect(await replaced(await planeAndBackup())).toEqual(refused('namespace-has-plane', /cannot be backed up/));
});

test('a plane stays where the one of the backup could not be made', async () => {
  const plane = await planeAndBackup();
  const other = await newNamespace();
  const taken = await other.cluster.create<Service>({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'taker' },
    spec: { type: 'NodePort', ports: [{ port: 80 }] },
  });
  const nodePort = taken.spec.ports![0]!.nodePort!;
  expect(await replaced(plane, { changes: { nodePort } })).toEqual(refused('node-port', String(nodePort)));
  expect(await replaced(plane, { changes: { etcdStorage: '1Gi' } })).toEqual(refused('storage-class'));
  const dir = path.join(plane.folder, 'others');
  writeFileSync(path.join(plane.folder, 'file'), '');
  expect(await replaced(plane, { files: { dir: path.join(plane.folder, 'file', dir), force: false } })).toEqual(
    refused('file-not-writable'),
  );
});

test('the quota of the plane that is there does not count against the one in its place', async () => {
  const plane = await planeAndBackup();
  const at = `/api/v1/namespaces/${plane.name}/resourcequotas`;
  const hard = { persistentvolumeclaims: '1', 'count/statefulsets.apps': '1', services: '2' };
  const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'full' }, spec: { hard } };
  const stored = (await request(plane.admin, 'POST', at, quota)) as object;
  // What the quota controller would do.
  await request(plane.admin, 'PUT', `${at}/full/status`, { ...stored, status: { hard, used: hard } });
  expect(await replaced(plane, { changes: { etcdStorage: '1Gi', etcdStorageClass: 'any' } })).toEqual(
    refused('namespace-has-plane', /cannot be backed up/),
  );
});
