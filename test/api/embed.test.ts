import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { build } from 'esbuild';
import { beforeAll, expect, inject, test } from 'vitest';
import { common, plugins } from '../../bundle.mjs';
import { pathOf, resourceOf } from '../../src/kube/resources.ts';
import type { Order, Told } from '../embed/program.ts';
import { bind } from './rights.ts';
import { type Delegate, newNamespace, request } from './world.ts';

// test/embed/program.ts is bundled as another program would do it, and runs without the right to write files.

const { server, authority } = inject('api');
const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-embed-'));
const program = path.join(folder, 'program.mjs');

beforeAll(async () => {
  await build({ ...common, plugins, entryPoints: ['test/embed/program.ts'], outfile: program });
});

/** What keeps the program from files, in the words of this release of Node.js. */
function permissions(readable: string[]): string[] {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const stable = major > 23 || (major === 22 && minor >= 13) || (major === 23 && minor >= 5);
  return [
    stable ? '--permission' : '--experimental-permission',
    ...(major >= 25 ? ['--allow-net'] : []),
    '--no-warnings',
    ...readable.map((each) => `--allow-fs-read=${each}`),
  ];
}

async function run(order: Order, readable: string[] = []): Promise<Told> {
  const args = [...permissions([program, ...readable]), program];
  // No environment, and no folder of its own.
  const child = spawn(process.execPath, args, { cwd: '/', env: {} });
  child.stdin.end(JSON.stringify(order));
  const [out, errors, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once('close', resolve)),
  ]);
  expect(code, errors).toBe(0);
  return JSON.parse(out) as Told;
}

/** A folder as the kubelet makes it for a pod, with a token of a ServiceAccount that has the rights of an administrator. */
async function serviceAccount({ admin, name }: Delegate): Promise<string> {
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'operator' } };
  await admin.create(account);
  await bind(admin, { kind: 'Role', name: 'k8sk8s' }, { kind: 'ServiceAccount', name: 'operator', namespace: name });
  const at = `${pathOf(resourceOf(account), name, 'operator')}/token`;
  const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { status } = (await request(admin, 'POST', at, asked)) as { status: { token: string } };
  const pod = path.join(folder, name);
  mkdirSync(pod);
  writeFileSync(path.join(pod, 'token'), status.token);
  writeFileSync(path.join(pod, 'ca.crt'), authority.certificate);
  writeFileSync(path.join(pod, 'namespace'), name);
  return pod;
}

/** The program's whole life: nothing gives the plane pods here, so its deploy does not come to its end. */
function expectWhole(told: Told): void {
  expect(told.checks).toMatchObject({ access: 'ok', rights: 'ok', namespace: 'ok' });
  expect(Object.values(told.checks)).not.toContain('failed');
  expect(told.deploy).toBe('not-available');
  expect(told.kinds).toEqual(expect.arrayContaining(['StatefulSet', 'Deployment', 'Service']));
  expect(told.status).toEqual({
    phase: 'deploying',
    host: 'localhost',
    components: ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'],
    hosted: false,
  });
  expect(told.deleted).toBeGreaterThan(5);
  expect(told.writes).toBe(false);
}

test('another program works by a kubeconfig that it has as text', async () => {
  const team = await newNamespace();
  expectWhole(
    await run({ kubeconfig: readFileSync(team.kubeconfig, 'utf8'), namespace: team.name, host: 'localhost' }),
  );
});

test('it works as the service account of its pod, and dials hosted APIs by their services', async () => {
  const team = await newNamespace();
  const pod = await serviceAccount(team);
  const { hostname, port } = new URL(server);
  const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
  expectWhole(
    await run({ pod: { env, serviceAccount: pod }, namespace: team.name, host: 'localhost', hostedBy: 'service' }, [
      pod,
    ]),
  );
});

test('it works by a server, its CA and credentials', async () => {
  const team = await newNamespace();
  const token = readFileSync(path.join(await serviceAccount(team), 'token'), 'utf8');
  const tls = { authorities: [authority.certificate] };
  const connection = { server, tls, credentials: { token: { text: token } } };
  expectWhole(await run({ connection, namespace: team.name, host: 'localhost' }));
});
