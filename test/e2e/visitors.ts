import { readFileSync } from 'node:fs';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from 'js-yaml';

interface File {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

const object = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';

/**
 * Clients that ask a hosted cluster for something every 100 ms while the plane is changed: reads and writes, each by a new
 * connection and by a kept one, through HOST. Beside them the list of addresses is read where pods of the hosted cluster reach the API.
 */
export class Visitors {
  /** What failed twice: a client may try again once, after a second. */
  readonly failures: string[] = [];
  /** How many answers each kind of client had. */
  readonly answers: Record<string, number> = {};
  /** Every list of addresses of default/kubernetes that was seen. */
  readonly endpoints = new Set<string>();
  readonly #server: string;
  readonly #tls: { ca: Buffer; cert: Buffer; key: Buffer };
  readonly #kept: https.Agent;
  readonly #working: Promise<unknown>;
  #stopped = false;

  /** @param kubeconfig path of a file with a client certificate in it */
  constructor(kubeconfig: string) {
    const { clusters, users } = load(readFileSync(kubeconfig, 'utf8')) as File;
    const { cluster } = clusters[0]!;
    const { user } = users[0]!;
    const bytes = (data: string) => Buffer.from(data, 'base64');
    this.#server = cluster.server;
    this.#tls = {
      ca: bytes(cluster['certificate-authority-data']),
      cert: bytes(user['client-certificate-data']),
      key: bytes(user['client-key-data']),
    };
    this.#kept = new https.Agent({ ...this.#tls, keepAlive: true, maxSockets: 1 });
    const clients = [
      ['read by a new connection', undefined, 'GET'],
      ['read by a kept connection', this.#kept, 'GET'],
      ['write by a new connection', undefined, 'PATCH'],
      ['write by a kept connection', this.#kept, 'PATCH'],
    ] as const;
    this.#working = Promise.all([
      ...clients.map(([name, agent, method]) => this.#visit(name, () => this.#ask(agent, method, object))),
      this.#watchEndpoints(),
    ]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#working;
    this.#kept.destroy();
  }

  async #visit(name: string, ask: () => Promise<unknown>): Promise<void> {
    this.answers[name] = 0;
    while (!this.#stopped) {
      const next = sleep(100);
      try {
        await ask().catch(() => sleep(1000).then(ask));
        this.answers[name]++;
      } catch (error) {
        this.failures.push(`${name}: ${(error as Error).message}`);
      }
      await next;
    }
  }

  async #watchEndpoints(): Promise<void> {
    while (!this.#stopped) {
      const answer = await this.#ask(
        undefined,
        'GET',
        '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes',
      ).catch(() => undefined);
      if (answer !== undefined) {
        const { endpoints } = JSON.parse(answer) as { endpoints?: { addresses: string[] }[] | null };
        this.endpoints.add((endpoints ?? []).flatMap(({ addresses }) => addresses).join());
      }
      await sleep(200);
    }
  }

  #ask(agent: https.Agent | undefined, method: 'GET' | 'PATCH', path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const request = https.request(
        `${this.#server}${path}`,
        {
          method,
          ...(agent ? { agent } : { agent: false, ...this.#tls }),
          signal: AbortSignal.timeout(5000),
          headers: { 'Content-Type': 'application/merge-patch+json' },
        },
        (response) => {
          text(response).then((words) => {
            if (response.statusCode === 200) resolve(words);
            else reject(new Error(`${response.statusCode}`));
          }, reject);
        },
      );
      request.once('error', reject);
      request.end(
        method === 'PATCH' ? JSON.stringify({ metadata: { annotations: { visited: `${Date.now()}` } } }) : '',
      );
    });
  }
}
