import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Seen, seenInPods, startPodVisitors, Visitors } from './visitors.ts';
import { Namespace, sandboxCommand, succeeded } from './world.ts';

// Every kind of change of the spec, while clients read and write all the time. Runs with `npm run test:all`. The table of
// docs/reliability.md is what it prints and writes to the file that K8SK8S_AVAILABILITY names.

interface Change {
  kind: string;
  options: string[];
  /** Nobody answers for a while, as docs/reliability.md says. */
  gap?: true;
}

const host = 'availability.e2e.test';
const quiet = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] };
/** In an order in which each is a change. */
const changes: Change[] = [
  { kind: 'flag of the API server', options: ['--api-server-arg', 'v=1'] },
  { kind: 'audit policy', options: ['--audit-policy', 'quiet.yaml'] },
  { kind: 'name in the certificate', options: ['--san', 'other.e2e.test'] },
  { kind: 'requests of the API server', options: ['--resources', 'kube-apiserver=cpu=60m'] },
  { kind: 'flag of the controller-manager', options: ['--controller-manager-arg', 'v=1'] },
  { kind: 'flag of the scheduler', options: ['--scheduler-arg', 'v=1'] },
  { kind: 'feature gate', options: ['--feature-gates', 'ContextualLogging=true'] },
  { kind: 'egress none', options: ['--egress', 'none'] },
  { kind: 'annotation of the ingress', options: ['--ingress-annotation', 'example.com/kind=plane'] },
  { kind: 'another HOST, seen at the old one', options: ['-h', `new.${host}`, '--yes'] },
  { kind: 'flag of the only etcd member', options: ['--etcd-arg', 'snapshot-count=9000'], gap: true },
  { kind: 'profile lite, with its flags of etcd', options: ['--profile', 'lite'], gap: true },
  { kind: 'two replicas', options: ['--replicas', '2'] },
  { kind: 'flag of two API servers', options: ['--api-server-arg', 'v=2'] },
  { kind: 'one replica again', options: ['--replicas', '1'] },
  { kind: 'three etcd members', options: ['--etcd-members', '3'], gap: true },
  { kind: 'flag of three etcd members', options: ['--etcd-arg', 'snapshot-count=8000'] },
];

/** What a person meets at one place: a request counts as failed when its repetition after a second failed too. */
function rowOf(seen: Record<string, Seen>): { text: string; requests: number; failedTwice: number } {
  const all = Object.values(seen);
  const total = (key: 'requests' | 'failed' | 'failedTwice') => all.reduce((sum, each) => sum + each[key], 0);
  const longest = Math.max(0, ...all.map(({ longest }) => longest));
  const text = `${total('requests')} / ${total('failed')} / ${total('failedTwice')} / ${(longest / 1000).toFixed(1)} s`;
  return { text, requests: total('requests'), failedTwice: total('failedTwice') };
}

describe.runIf(process.env.K8SK8S_TEST === 'all')('availability', () => {
  let home: Namespace;
  let visitors: Visitors;
  const rows: string[] = [];

  beforeAll(async () => {
    home = await Namespace.open('availability');
    writeFileSync(path.join(home.cwd, 'quiet.yaml'), JSON.stringify(quiet));
    for (const name of [host, `new.${host}`]) succeeded(await sandboxCommand(['host', name], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', '1Gi'));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await home.rolledOut('kube-dns', 120, 'kube-system');
    visitors = new Visitors(home);
    await startPodVisitors(home);
  });

  afterAll(async () => {
    await visitors?.stop();
    const head = ['change', 'through HOST', 'from pods of workers', 'default/kubernetes'];
    const table = [head, head.map(() => '---')].map((cells) => `| ${cells.join(' | ')} |`);
    const text = [...table, ...rows, ''].join('\n');
    console.log(text);
    if (process.env.K8SK8S_AVAILABILITY) writeFileSync(process.env.K8SK8S_AVAILABILITY, text);
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test.each(changes)('$kind', async ({ kind, options, gap }) => {
    const since = Date.now();
    succeeded(await home.k8sk8s('deploy', ...options));
    await sleep(8000);
    const outside = rowOf(visitors.seen(since));
    const inside = Object.values(await seenInPods(home, since)).map(rowOf);
    const lists = visitors.endpoints(since);
    rows.push(
      `| ${kind} | ${outside.text} | ${inside.map(({ text }) => text).join('; ')} | ${lists.has('') ? 'empty for a while' : 'never empty'} |`,
    );
    for (const place of [outside, ...inside]) expect(place.requests).toBeGreaterThan(20);
    expect(lists.has('')).toBe(false);
    if (!gap) for (const place of [outside, ...inside]) expect(place.failedTwice).toBe(0);
  });
});
