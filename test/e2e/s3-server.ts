import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { inject } from 'vitest';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { requireState } from '../../src/sandbox/state.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { eventually, run, succeeded } from './world.ts';

const port = 7480;
const keys = { AWS_ACCESS_KEY_ID: 'backups', AWS_SECRET_ACCESS_KEY: 'a secret for this test alone' };

/** An S3 server (versitygw on a folder) on this box, where pods of the infra cluster reach it, with a certificate of its own. */
export class S3Server {
  /** As the environment and the Secret have them. */
  readonly keys = keys;
  readonly endpoint: string;
  /** File of the authority that signed its certificate. */
  readonly ca: string;
  readonly #data: string;
  readonly #process: ChildProcess;

  private constructor(folder: string, endpoint: string, child: ChildProcess) {
    this.endpoint = endpoint;
    this.ca = path.join(folder, 'tls.crt');
    this.#data = path.join(folder, 'data');
    this.#process = child;
  }

  /** @param buckets folders of its data folder: that is what a bucket is to it */
  static async start(folder: string, buckets: string[]): Promise<S3Server> {
    const { versitygw } = await ensureBinaries(['versitygw'], {}, terminalReporter());
    const address = `${requireState(inject('sandbox')).network}.1`;
    for (const bucket of buckets) mkdirSync(path.join(folder, 'data', bucket), { recursive: true });
    const [certificate, key] = ['tls.crt', 'tls.key'].map((name) => path.join(folder, name)) as [string, string];
    succeeded(
      await run('openssl', [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
        ...['-subj', '/CN=s3', '-addext', `subjectAltName=IP:${address}`, '-keyout', key, '-out', certificate],
      ]),
    );
    const args = ['--quiet', '--port', `${address}:${port}`, '--cert', certificate, '--key', key];
    const child = spawn(versitygw, [...args, 'posix', path.join(folder, 'data')], {
      stdio: 'ignore',
      env: { ROOT_ACCESS_KEY: keys.AWS_ACCESS_KEY_ID, ROOT_SECRET_KEY: keys.AWS_SECRET_ACCESS_KEY },
    });
    const server = new S3Server(folder, `https://${address}:${port}`, child);
    await eventually(20, () => server.#answers());
    return server;
  }

  /** Names of the objects of a bucket. */
  objects(bucket: string): string[] {
    return readdirSync(path.join(this.#data, bucket), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(path.join(this.#data, bucket), path.join(entry.parentPath, entry.name)))
      .sort();
  }

  content(bucket: string, name: string): Buffer {
    return readFileSync(path.join(this.#data, bucket, name));
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.exitCode === null) this.#process.kill();
    else return;
    await ended;
  }

  #answers(): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = https.get(this.endpoint, { ca: readFileSync(this.ca) }, (response) => {
        response.resume();
        resolve();
      });
      request.on('error', reject);
    });
  }
}
