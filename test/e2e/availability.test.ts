import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runsAllOf, runsByName } from '../test-all.ts';
import { type Change, changes, fromMany, fromOne, host, nextHost } from './spec-changes.ts';
import { type Seen, seenInPods, startPodVisitors, Visitors } from './visitors.ts';
import { Namespace, sandboxCommand, succeeded } from './world.ts';

// Every kind of change of the spec, while clients read and write all the time: K8SK8S_TEST=availability takes 25 min. `npm run test:all`
// leaves out what makes new pods of the API server as one of the others does, and on two replicas all but what replaces members of etcd. The
// tables of docs/reliability.md are what it prints and writes to the folder that K8SK8S_AVAILABILITY names.

const files = {
  'quiet.yaml': { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] },
  'authorization.yaml': {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthorizationConfiguration',
    authorizers: [
      { type: 'Node', name: 'node' },
      { type: 'RBAC', name: 'rbac' },
    ],
  },
  passphrase: 'a passphrase of this test alone',
};

interface Row {
  text: string;
  requests: number;
  failedTwice: number;
  errors: string[];
}

/** What a person meets at one place: a request counts as failed when its repetition after a second failed too. */
function rowOf(seen: Record<string, Seen>): Row {
  const all = Object.values(seen);
  const total = (key: 'requests' | 'failed' | 'failedTwice') => all.reduce((sum, each) => sum + each[key], 0);
  const longest = Math.max(0, ...all.map(({ longest }) => longest));
  const text = `${total('requests')} / ${total('failed')} / ${total('failedTwice')} / ${(longest / 1000).toFixed(1)} s`;
  const errors = Object.entries(seen).flatMap(([kind, { errors }]) => errors.map((error) => `${kind}: ${error}`));
  return { text, requests: total('requests'), failedTwice: total('failedTwice'), errors };
}

const several = ['--etcd-storage', '1Gi', '--replicas', '2', '--etcd-members', '3'];
const notAsAFlag = changes.filter(({ asAFlag }) => !asAFlag);
const whole = runsByName('e2e/availability');
const planes: [string, string[], Change[]][] = [
  ['one replica', ['--etcd-storage', '1Gi'], [...(whole ? changes : notAsAFlag), ...fromOne]],
  ['two replicas', several, [...(whole ? notAsAFlag : changes.filter(({ gap }) => gap)), ...fromMany]],
];

const all = runsAllOf('e2e/availability');

describe.runIf(all).each(planes)('availability, %s', (name, options, kinds) => {
  let home: Namespace;
  let visitors: Visitors | undefined;
  const rows: string[] = [];
  const table = () => {
    const head = ['change', 'through HOST', 'from a pod', 'default/kubernetes'];
    const top = [head, head.map(() => '---')].map((cells) => `| ${cells.join(' | ')} |`);
    return [...top, ...rows, ''].join('\n');
  };
  const folder = process.env.K8SK8S_AVAILABILITY;

  beforeAll(async () => {
    home = await Namespace.open(`availability-${name.replace(' ', '-')}`);
    for (const [file, content] of Object.entries(files))
      writeFileSync(path.join(home.cwd, file), typeof content === 'string' ? content : JSON.stringify(content));
    for (const each of [host, nextHost]) succeeded(await sandboxCommand(['host', each], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, ...options));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await home.rolledOut('kube-dns', 120, 'kube-system');
    visitors = new Visitors(home);
    await startPodVisitors(home);
  });

  afterAll(async () => {
    await visitors?.stop();
    console.log(table());
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test.each(kinds)('$kind', async ({ kind, options, gap }) => {
    const since = Date.now();
    succeeded(await home.k8sk8s('deploy', ...options));
    await sleep(8000);
    const outside = rowOf(visitors!.seen(since));
    const inside = Object.values(await seenInPods(home, since)).map(rowOf);
    const lists = visitors!.endpoints(since);
    const empty = lists.has('') ? 'empty for a while' : 'never empty';
    rows.push(`| ${kind} | ${outside.text} | ${inside.map(({ text }) => text).join('; ')} | ${empty} |`);
    // After each change, since a run may be ended before its last one.
    if (folder) writeFileSync(path.join(folder, `${home.name}.md`), table());
    for (const place of [outside, ...inside]) expect(place.requests).toBeGreaterThan(20);
    expect(lists.has('')).toBe(false);
    if (gap === 'one member' && name === 'one replica') return;
    for (const place of [outside, ...inside]) expect(place.failedTwice, place.errors.join('; ')).toBe(0);
  });
});
