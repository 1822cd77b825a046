import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { addresses, failuresOf, kubeconfig, programs, spec, standInMachine } from './worker-script.fixture.ts';
import { workerScript } from './worker-script.ts';

// What worker.sh says of the server that answers at HOST, which it asks by the programs of this box.

// The script starts some hundred processes, which takes long on a busy box.
vi.setConfig({ testTimeout: 60_000 });

const { at, furnish } = standInMachine();
const tls = '/etc/kubernetes/tls';

describe.each(['curl', 'openssl'])('what answers at HOST, asked with %s', (tool) => {
  let authority: string;
  let api: ReturnType<typeof createTlsServer>;
  /** `behind`: milliseconds by which its clock is late. */
  const answer = { status: 200, behind: 0 };

  beforeAll(async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'worker-tls-'));
    const [key, certificate] = ['key', 'crt'].map((name) => path.join(folder, name));
    const made = ['-keyout', key!, '-out', certificate!, '-subj', '/CN=api', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...curve, ...made], { stdio: 'ignore' });
    authority = readFileSync(certificate!, 'utf8');
    api = createTlsServer({ key: readFileSync(key!), cert: authority }, (_, response) => {
      response.sendDate = false;
      response.writeHead(answer.status, { date: new Date(Date.now() - answer.behind).toUTCString() }).end('ok');
    });
    await new Promise<void>((done) => api.listen(0, '127.0.0.1', done));
    rmSync(folder, { recursive: true });
  });
  afterAll(() => api.close());

  /** With the programs of this box. @param trusted in ca.pem */
  async function failures(trusted: string): Promise<string[]> {
    const { port } = api.address() as AddressInfo;
    const host = `https://127.0.0.1:${port}`;
    furnish({ [`${tls}/kubeconfig-kubelets`]: kubeconfig(host, trusted), [`${tls}/ca.pem`]: trusted });
    const fakes = programs.replace(/^curl[\s\S]*?^}\n/m, '');
    const script = workerScript(spec(), addresses);
    writeFileSync(at('worker.sh'), tool === 'curl' ? script : script.replaceAll('has curl', 'false'));
    const env = { PATH: process.env.PATH, K8SK8S_ROOT: at(''), KUBELET: '/usr/bin/kubelet', NODE_IP: '10.0.0.5' };
    const args = ['-c', `${fakes}\n. "$0" "$@"`, at('worker.sh'), 'check'];
    const { stdout } = await promisify(execFile)('sh', args, { env }).catch((error: { stdout: string }) => error);
    return failuresOf(stdout);
  }

  test('is this plane, or is not', async () => {
    expect(await failures(authority)).toEqual([]);
    const anew = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', '/dev/null', '-subj', '/CN=x'];
    const other = execFileSync('openssl', anew, { stdio: ['ignore', 'pipe', 'ignore'] });
    expect(await failures(other.toString())).toEqual(['server']);
  });

  test('has another time, and does not know the token', async () => {
    answer.behind = 600_000;
    expect(await failures(authority)).toEqual(['clock']);
    Object.assign(answer, { behind: 0, status: 401 });
    expect(await failures(authority)).toEqual(tool === 'curl' ? ['token'] : []);
    Object.assign(answer, { status: 200 });
  });
});
