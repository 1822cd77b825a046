import { expect, test } from 'vitest';
import type { ContainerStatus } from '../kube/objects.ts';
import { causeInLog, failedOf } from './trial.ts';

test('of a program that prints its usage first, what is wrong is told alone', () => {
  const usage =
    '  -h, --help   help for kube-scheduler\n      --version    prints version\n\nError: invalid argument "abc"';
  expect(causeInLog(usage)).toBe('Error: invalid argument "abc"');
});

test('of any other program, its last lines', () => {
  expect(causeInLog('one\ntwo\nthree\nfour\nfive\n')).toBe('two\nthree\nfour\nfive');
});

test("of klog's lines, the errors alone", () => {
  const log = 'I1129 23:47:11.7 1 server.go:151] Version\nE1129 23:47:11.8 1 run.go:72] "command failed" err="no"\n';
  expect(causeInLog(log)).toBe('E1129 23:47:11.8 1 run.go:72] "command failed" err="no"');
});

test('with --logging-format=json the errors alone, as sentences', () => {
  const log =
    '{"ts":1780000000000.1,"caller":"app/server.go:151","msg":"Version","v":0}\n{"ts":1780000000000.2,"caller":"cli/run.go:72","msg":"command failed","err":"jwt[0]: wrong"}\n';
  expect(causeInLog(log)).toBe('command failed err=jwt[0]: wrong');
});

test('an error of several lines is told whole', () => {
  const log = `I1 x\nE1129 23:47:11.8 1 run.go:72] "command failed" err=<\n\tjwt[0]: wrong\n\t | claims\n >\nI1129 23:47:11.9 1 x\n`;
  expect(causeInLog(log)).toContain('jwt[0]: wrong');
  expect(causeInLog(log)).not.toContain('I1129');
});

test('of a program that prints its usage last, what stands before it', () => {
  const log =
    'invalid value "abc" for flag -snapshot-count: parse error\nUsage:\n\n  etcd [flags]\n    Start an etcd server.\n';
  expect(causeInLog(log)).toBe('invalid value "abc" for flag -snapshot-count: parse error');
});

test('P3: of programs that ended together, the one that failed is named, not a sidecar that was ended with it', () => {
  const ended = (name: string, exitCode: number) =>
    ({ name, ready: false, restartCount: 0, image: '', state: { terminated: { exitCode } } }) satisfies ContainerStatus;
  expect(failedOf([ended('etcd', 0), ended('kube-apiserver', 1)])?.name).toBe('kube-apiserver');
  expect(failedOf([ended('etcd', 0)])?.name).toBe('etcd');
  expect(failedOf([])).toBeUndefined();
});
