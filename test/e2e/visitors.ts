import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { load } from 'js-yaml';
import { otherImages } from '../../src/config/versions.ts';
import type { Namespace } from './world.ts';

/*
 * Clients that ask a hosted cluster for something every 100 ms while its plane is changed: reads and writes, each by a new
 * connection and by a kept one, from this box through HOST and from pods of the hosted cluster through kubernetes.default.
 */

const program = 'test/e2e/visitor.mjs';
const object = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
const endpoints = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes';

interface Line {
  /** Milliseconds since 1970. */
  at: number;
  kind: string;
  ms: number;
  again: boolean;
  error?: string;
  addresses?: string;
}

/** What a kind of client has seen. */
export interface Seen {
  requests: number;
  /** Requests that failed, and of those the ones whose repetition after a second failed too. */
  failed: number;
  failedTwice: number;
  /** Milliseconds between the end of one answer and the end of the next, at most. */
  longest: number;
  errors: string[];
}

/** Pure. @param lines of one visitor, in any order */
function seenBy(lines: Line[]): Record<string, Seen> {
  const kinds = [...new Set(lines.filter(({ kind }) => kind !== 'endpoints').map(({ kind }) => kind))];
  return Object.fromEntries(
    kinds.map((kind): [string, Seen] => {
      const own = lines.filter((line) => line.kind === kind).sort((a, b) => a.at - b.at);
      const answered = own.filter(({ error }) => error === undefined).map(({ at, ms }) => at + ms);
      const gaps = answered.slice(1).map((time, index) => time - answered[index]!);
      return [
        kind,
        {
          requests: own.filter(({ again }) => !again).length,
          failed: own.filter(({ error, again }) => error !== undefined && !again).length,
          failedTwice: own.filter(({ error, again }) => error !== undefined && again).length,
          longest: Math.max(0, ...gaps),
          errors: [...new Set(own.flatMap(({ error }) => error ?? []))],
        },
      ];
    }),
  );
}

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
}

/** From this box, through HOST as a kubeconfig names it. */
export class Visitors {
  readonly #lines: Line[] = [];
  readonly #child: ChildProcess;

  /** @param home whose tls/kubeconfig is read now, and not again when a deploy writes it anew */
  constructor(home: Namespace) {
    const { clusters, users } = load(readFileSync(path.join(home.cwd, 'tls/kubeconfig'), 'utf8')) as Kubeconfig;
    const { cluster } = clusters[0]!;
    const { user } = users[0]!;
    const file = (name: string, data: string) => {
      const place = path.join(home.cwd, name);
      writeFileSync(place, Buffer.from(data, 'base64'), { mode: 0o600 });
      return place;
    };
    this.#child = spawn(process.execPath, [program], {
      env: {
        SERVER: cluster.server,
        CA: file('visitor-ca.crt', cluster['certificate-authority-data']),
        CERT: file('visitor.crt', user['client-certificate-data']),
        KEY: file('visitor.key', user['client-key-data']),
        PATH_OF_OBJECT: object,
        ENDPOINTS: endpoints,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface(this.#child.stdout!).on('line', (line) => this.#lines.push(JSON.parse(line) as Line));
  }

  /** What was seen since a time in milliseconds. */
  seen(since = 0): Record<string, Seen> {
    return seenBy(this.#lines.filter(({ at }) => at >= since));
  }

  /** Every list of addresses of default/kubernetes that was seen since then. */
  endpoints(since = 0): Set<string> {
    const lists = this.#lines.filter(({ kind, at }) => kind === 'endpoints' && at >= since);
    return new Set(lists.map(({ addresses }) => addresses ?? ''));
  }

  async stop(): Promise<void> {
    this.#child.kill();
    await once(this.#child, 'close');
  }
}

const podVisitor = 'visitor';

/** Starts visitors in a pod of each worker of the hosted cluster, which go through kubernetes.default, and waits until they run. */
export async function startPodVisitors(home: Namespace): Promise<void> {
  await home.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: podVisitors() }));
  await home.ask('rollout', 'status', `daemonset/${podVisitor}`, '--timeout=120s');
}

/** What the visitors in pods have seen since a time in milliseconds, by worker. */
export async function seenInPods(home: Namespace, since: number): Promise<Record<string, Record<string, Seen>>> {
  const pods = await home.ask(
    ...['get', 'pods', '-l', `app=${podVisitor}`],
    ...['-o', 'jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName}{"\\n"}{end}'],
  );
  const found = await Promise.all(
    pods.split('\n').map(async (line) => {
      const [pod, node] = line.split(' ');
      const log = await home.ask('logs', pod!, `--since-time=${new Date(since).toISOString()}`);
      const lines = log.split('\n').flatMap((each) => (each.startsWith('{') ? [JSON.parse(each) as Line] : []));
      return [node!, seenBy(lines.filter(({ at }) => at >= since))] as const;
    }),
  );
  return Object.fromEntries(found);
}

function podVisitors(): object[] {
  const metadata = { name: podVisitor, namespace: 'default' };
  const account = '/var/run/secrets/kubernetes.io/serviceaccount';
  const env = Object.entries({
    SERVER: 'https://kubernetes.default.svc',
    CA: `${account}/ca.crt`,
    TOKEN: `${account}/token`,
    PATH_OF_OBJECT: `/api/v1/namespaces/default/configmaps/${podVisitor}`,
  }).map(([name, value]) => ({ name, value }));
  const rules = [{ apiGroups: [''], resources: ['configmaps'], resourceNames: [podVisitor], verbs: ['get', 'patch'] }];
  const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'visitor.mjs': readFileSync(program, 'utf8') } },
    { ...rbac, kind: 'Role', rules },
    {
      ...rbac,
      kind: 'RoleBinding',
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: podVisitor },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    },
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata,
      spec: {
        selector: { matchLabels: { app: podVisitor } },
        template: {
          metadata: { labels: { app: podVisitor } },
          spec: {
            serviceAccountName: podVisitor,
            terminationGracePeriodSeconds: 1,
            containers: [
              {
                name: podVisitor,
                image: otherImages.node,
                command: ['node', '/visitor/visitor.mjs'],
                env,
                volumeMounts: [{ name: 'program', mountPath: '/visitor' }],
              },
            ],
            volumes: [{ name: 'program', configMap: { name: podVisitor } }],
          },
        },
      },
    },
  ];
}
