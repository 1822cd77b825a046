import { expect, test } from 'vitest';
import { LineParser } from '../../programs/log-follower/parse.ts';
import { findQuery, linkTo, savedQueries, within } from './queries.ts';

test('a saved question is found in one word of the shell or in several, with hyphens or without', () => {
  for (const words of [
    ['who deleted team/web'],
    ['who', 'deleted', 'team/web'],
    ['who deleted', 'team/web'],
    ['who-deleted', 'team/web'],
  ])
    expect(findQuery(words), words.join('|')).toMatchObject({ query: { name: 'who deleted' }, rest: ['team/web'] });
  expect(findQuery(['errors'])?.rest).toEqual([]);
  expect(findQuery(['who stole', 'team/web'])).toBeUndefined();
});

test('names are no part of the query language, whatever is in them', () => {
  const { query } = findQuery(['who deleted', 'a/b'])!;
  expect(query.logsql('team/x" or *')).toBe(
    'type:=audit verb:in(delete, deletecollection) namespace:="team" (name:="x\\" or *" or verb:=deletecollection)',
  );
  expect(query.logsql('node-1')).toContain('namespace:="" (name:="node-1"');
});

test('each question has a name of its own, none begins with another one, and its link names the query and the time', () => {
  const names = savedQueries.map(({ name }) => name);
  expect(names.filter((name) => names.some((other) => other !== name && name.startsWith(other)))).toEqual([]);
  const link = new URL(linkTo('http://127.0.0.1:9', 'type:=audit "a b"'));
  expect(new URLSearchParams(link.hash.slice(3)).get('query')).toBe('type:=audit "a b"');
  expect(within('1d', '*')).toBe('_time:1d *');
});

/** Whether a question that looks for words finds a line of a component, as the follower hands it on. */
function finds(question: string, line: string): boolean {
  const [, flags, pattern] = /_msg:~"(\(\?i\))?(.*)"$/.exec(findQuery([question])!.query.logsql())!;
  return new RegExp(pattern!, flags === undefined ? '' : 'i').test(new LineParser().parse(line)._msg!);
}

const klog = (letter: string, source: string, text: string) =>
  `${letter}1201 12:00:00.000000       1 ${source}] ${text}`;
const etcd = (msg: string) =>
  JSON.stringify({ level: 'info', ts: '2026-05-01T12:00:00.000Z', caller: 'a/b.go:1', msg });

// As client-go, kube-scheduler and kube-controller-manager 1.36.3 and 1.37.2 write them, and raft 3.7.0.
test.each([
  klog('I', 'leaderelection.go:272', '"Successfully acquired lease" lock="kube-system/kube-scheduler"'),
  klog(
    'I',
    'leaderelection.go:304',
    '"Failed to renew lease" lock="kube-system/kube-scheduler" err="context deadline exceeded"',
  ),
  klog('E', 'server.go:337', '"Leaderelection lost"'),
  klog('E', 'run.go:72', '"command failed" err="lost lease"'),
  klog('E', 'controllermanager.go:413', '"leaderelection lost/stopped"'),
  '{"ts":1777636800123.4,"caller":"leaderelection/leaderelection.go:272","msg":"Successfully acquired lease","v":0,"lock":"kube-system/kube-controller-manager"}',
  etcd('8e9e05c52164694d became leader at term 3'),
  etcd('raft.node: 8e9e05c52164694d elected leader 8e9e05c52164694d at term 3'),
  etcd('raft.node: 8e9e05c52164694d lost leader 91bc3c398fb3c146 at term 3'),
  etcd('raft.node: 8e9e05c52164694d changed leader from 91bc3c398fb3c146 to 8e9e05c52164694d at term 4'),
])('a change of leader is found: %s', (line) => {
  expect(finds('leader changes', line)).toBe(true);
});

test('who tries to lead, and does not, is no change of leader', () => {
  const line = klog(
    'I',
    'leaderelection.go:258',
    '"Attempting to acquire leader lease..." lock="kube-system/kube-scheduler"',
  );
  expect(finds('leader changes', line)).toBe(false);
});

// As the API server 1.37.2 and etcd 3.7.3 write them.
test.each([
  [
    'which webhook fails',
    klog('W', 'dispatcher.go:217', 'Failed calling webhook, failing closed a.b: failed calling webhook "a.b": x'),
  ],
  [
    'which webhook fails',
    klog('E', 'conversion.go:1', '"Failed" err="conversion webhook for a.b/v1, Kind=C failed: x"'),
  ],
  [
    'certificate errors',
    klog('I', 'log.go:245', 'http: TLS handshake error from 10.0.0.7:1: remote error: tls: bad certificate'),
  ],
  [
    'certificate errors',
    klog('E', 'authentication.go:75', '"Unable to authenticate the request" err="[x509: certificate has expired]"'),
  ],
  ['etcd slow disk', etcd('slow fdatasync')],
  ['etcd slow disk', etcd('apply request took too long')],
  ['etcd slow disk', etcd('waiting for ReadIndex response took too long, retrying')],
  [
    'etcd slow disk',
    etcd('leader failed to send out heartbeat on time; took too long, leader is overloaded likely from slow disk'),
  ],
])('%s: %s', (question, line) => {
  expect(finds(question, line)).toBe(true);
});
