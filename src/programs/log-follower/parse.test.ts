import { expect, test } from 'vitest';
import { LineParser } from './parse.ts';

const parse = (line: string) => new LineParser().parse(line);

test('klog: level, source, message and the pairs behind it', () => {
  expect(
    parse(
      'E1130 19:07:07.123456       1 leaderelection.go:332] "Error retrieving lock" err="dial tcp: \\"x\\"" lock="kube-system/a" n=3',
    ),
  ).toEqual({
    type: 'log',
    level: 'error',
    source: 'leaderelection.go:332',
    _msg: 'Error retrieving lock err="dial tcp: \\"x\\"" lock="kube-system/a" n=3',
    err: 'dial tcp: "x"',
    lock: 'kube-system/a',
    n: '3',
  });
  expect(
    parse('W0501 12:00:00.000000       1 dispatcher.go:225] Failed calling webhook, failing open a.b: x'),
  ).toMatchObject({
    level: 'warn',
    _msg: 'Failed calling webhook, failing open a.b: x',
  });
});

test('a trace tells of which request it is, and how long it took', () => {
  const line =
    'I0501 12:00:00.000000       1 trace.go:236] Trace[17]: "Update" accept:application/json, */*,audit-id:1b-2c,client:10.0.0.7,api-group:,name:web,subresource:,namespace:team,protocol:HTTP/2.0,resource:configmaps,scope:resource,url:/api/v1/x,user-agent:kubectl/v1.37 (linux),verb:PUT (01-May-2026 12:00:00.000) (total time: 1612ms):';
  expect(parse(line)).toMatchObject({
    trace: 'Update',
    durationMs: '1612',
    auditID: '1b-2c',
    verb: 'PUT',
    resource: 'configmaps',
    namespace: 'team',
    name: 'web',
  });
});

test('lines that belong to an entry have its level, and fields that say where a line is from stay what they are', () => {
  const parser = new LineParser();
  parser.parse('E0501 12:00:00.000000       1 wrap.go:1] "timeout" pod="a/b" level="x"');
  expect(parser.parse('goroutine 1 [running]:')).toEqual({
    type: 'log',
    level: 'error',
    _msg: 'goroutine 1 [running]:',
  });
  expect(parse('I0501 12:00:00.000000       1 a.go:1] "said" pod="a/b"')).toMatchObject({ pod_: 'a/b', level: 'info' });
});

test("JSON of Kubernetes' own components, as --logging-format=json makes it: the same fields as of klog", () => {
  expect(
    parse(
      '{"ts":1777636800123.4,"logger":"a","caller":"leaderelection/leaderelection.go:332","msg":"Error retrieving lock","lock":{"name":"a","namespace":"kube-system"},"n":3,"err":"x509: \\"x\\""}',
    ),
  ).toEqual({
    type: 'log',
    level: 'error',
    source: 'leaderelection/leaderelection.go:332',
    _msg: 'Error retrieving lock logger=a lock={"name":"a","namespace":"kube-system"} n=3 err=x509: "x"',
    logger: 'a',
    lock: '{"name":"a","namespace":"kube-system"}',
    n: '3',
    err: 'x509: "x"',
  });
  const trace =
    'Trace[17]: "Update" audit-id:1b-2c,name:web,namespace:team,resource:configmaps,verb:PUT (01-May-2026 12:00:00.000) (total time: 1612ms):\nTrace[17]: [1.6s] END\n';
  expect(
    parse(JSON.stringify({ ts: 1777636800123.4, caller: 'trace/trace.go:236', msg: trace, v: 0, pod: 'a/b' })),
  ).toMatchObject({ level: 'info', trace: 'Update', durationMs: '1612', auditID: '1b-2c', name: 'web', pod_: 'a/b' });
  expect(parse('{"ts":1777636800123.4,"caller":"a')).toMatchObject({ level: 'info', type: 'log' });
});

test('etcd: its JSON, and how long something took', () => {
  const line =
    '{"level":"warn","ts":"2026-05-01T12:00:00.000Z","caller":"txn/util.go:93","msg":"apply request took too long","took":"1.2s","expected-duration":"100ms","size":7}';
  expect(parse(line)).toMatchObject({
    level: 'warn',
    source: 'txn/util.go:93',
    _msg: 'apply request took too long took=1.2s expected-duration=100ms size=7',
    durationMs: '1200',
    size: '7',
  });
});

test('audit events: who did what to what, the answer and how long it took', () => {
  const event = {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: '1b-2c',
    stage: 'ResponseComplete',
    requestURI: '/api/v1/namespaces/team/pods/web',
    verb: 'delete',
    user: { username: 'anna', groups: ['dev', 'system:authenticated'] },
    sourceIPs: ['10.0.0.7'],
    userAgent: 'kubectl/v1.37.2',
    objectRef: { resource: 'pods', namespace: 'team', name: 'web', apiVersion: 'v1' },
    responseStatus: { metadata: {}, code: 403, reason: 'Forbidden', message: 'no' },
    requestReceivedTimestamp: '2026-05-01T12:00:00.000000Z',
    stageTimestamp: '2026-05-01T12:00:01.250000Z',
    annotations: { 'authorization.k8s.io/decision': 'forbid', 'authorization.k8s.io/reason': '', 'x/y': 'z' },
  };
  expect(parse(JSON.stringify(event))).toMatchObject({
    type: 'audit',
    level: 'warn',
    _msg: 'anna delete pods team/web: 403',
    user: 'anna',
    groups: 'dev,system:authenticated',
    verb: 'delete',
    resource: 'pods',
    namespace: 'team',
    name: 'web',
    code: '403',
    decision: 'forbid',
    durationMs: '1250',
    'annotation.x/y': 'z',
  });
});

test('a line that is nothing of these stays what it is, and one that is half an event too', () => {
  expect(parse('{"kind":"Event","apiVersion":"audit.k8s.io/v1","lev')).toMatchObject({ type: 'log', level: 'info' });
  expect(parse('plain words')).toEqual({ type: 'log', level: 'info', _msg: 'plain words' });
  expect(parse('x'.repeat(200_000))._msg!.length).toBeLessThan(100_100);
});

test('a line is never longer than the store takes, whatever somebody sends beside what he does', () => {
  const event = {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    stage: 'ResponseComplete',
    verb: 'delete',
    user: { username: 'anna' },
    requestURI: `/api/v1/namespaces/x?${'\\'.repeat(120_000)}`,
    userAgent: '\ufffd'.repeat(90_000),
    objectRef: { resource: 'namespaces', name: 'x' },
  };
  const fields = parse(JSON.stringify(event));
  expect(fields).toMatchObject({ type: 'audit', verb: 'delete', name: 'x' });
  expect(Buffer.byteLength(JSON.stringify(fields))).toBeLessThan(256 * 1024);
});

const audit = (more: object) =>
  JSON.stringify({ kind: 'Event', apiVersion: 'audit.k8s.io/v1', verb: 'delete', ...more });
const object = { objectRef: { resource: 'pods', namespace: 'team', name: 'web' } };

/** As VictoriaLogs takes it: names, their number and the whole line (lib/logstorage/consts.go, -insert.maxFieldsPerLine). */
function expectTaken(fields: Record<string, unknown>) {
  const names = Object.keys(fields);
  expect(names.filter((name) => name === '' || Buffer.byteLength(name) > 128)).toEqual([]);
  expect(names.length).toBeLessThan(900);
  expect(Buffer.byteLength(JSON.stringify(fields))).toBeLessThan(256 * 1024);
  expect(Object.values(fields).filter((value) => typeof value !== 'string')).toEqual([]);
}

test('a line that looks like an event and is none of Kubernetes ends nothing', () => {
  for (const odd of [
    { user: { groups: 'x' } },
    { user: null, annotations: null, objectRef: null, responseStatus: null },
    { sourceIPs: { a: 1 }, requestURI: { a: 1 }, user: { username: { x: 1 } }, annotations: { 'a/b': { c: 1 } } },
  ])
    expectTaken(parse(audit(odd)));
  expectTaken(parse('{"level":{"a":1},"took":7,"":"x"}'));
});

test('whoever adds annotations to an audit event hides nothing: as many, as long and with as long names as he wants', () => {
  const annotations = (count: number, name: string, value: string) => ({
    annotations: Object.fromEntries(Array.from({ length: count }, (_, n) => [`${name}${n}`, value])),
  });
  for (const each of [
    annotations(1, `${'w'.repeat(200)}/key`, 'x'),
    annotations(3000, 'webhook/key', 'x'),
    annotations(300, 'webhook/key', 'x'.repeat(5000)),
    annotations(300, 'webhook/key', '\u0000'.repeat(5000)),
  ]) {
    const fields = parse(audit({ ...object, ...each }));
    expectTaken(fields);
    expect(fields).toMatchObject({ type: 'audit', verb: 'delete', resource: 'pods', namespace: 'team', name: 'web' });
  }
  expect(parse(audit(annotations(1, `${'w'.repeat(200)}/key`, 'seen'))).more).toContain('seen');
});

test('no line takes long to read, whoever wrote it', () => {
  const head = 'E1130 19:07:07.123456       1 a.go:1] ';
  for (const line of [
    `${head}"x"${' a={'.repeat(100_000)}`,
    `${head}"x"${' a=['.repeat(100_000)}`,
    `${head}Trace[1]: "x" a:b (c) (total time: ${'1'.repeat(400_000)})`,
    `{"level":"warn","took":"${'1'.repeat(400_000)}"}`,
  ])
    expectTaken(parse(line));
});
