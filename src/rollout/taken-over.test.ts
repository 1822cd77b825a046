import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { UserError } from '../base/errors.ts';
import { quietReporter } from '../ui/quiet.ts';
import { type Replica, waitTakenOver } from './taken-over.ts';

const file = 'apiVersion: apiserver.config.k8s.io/v1\n';
const secret = { data: { 'authentication.yaml': Buffer.from(file).toString('base64') } };
const metricOf = (text: string) =>
  `apiserver_authentication_config_controller_last_config_info{apiserver_id_hash="sha256:1",hash="sha256:${createHash('sha256').update(text).digest('hex')}"} 1\n`;

/** What an API server tells, as it told it on the sandbox; what it says in its log. */
const replica = (name: string, metrics: () => string | undefined, log = ''): Replica => ({
  name,
  metrics: async () => metrics(),
  log: async () => log,
});
const work = { reporter: quietReporter, timeout: 10, signal: new AbortController().signal };
const waited = (...all: Replica[]) => waitTakenOver(async () => all, secret, work, 10);

test('the files are taken over when each API server works by them', async () => {
  await waited(
    replica('a', () => metricOf(file)),
    replica('b', () => metricOf(file)),
  );
  const begun = performance.now();
  let asked = 0;
  await waitTakenOver(
    async () => [replica('a', () => metricOf(file)), replica('b', () => metricOf(asked++ < 1 ? 'before' : file))],
    secret,
    work,
    5000,
  );
  expect(performance.now() - begun).toBeGreaterThan(1500);
});

test('one that works by other files is named alone, with what it says itself', async () => {
  const log = 'E1201 10:00:00.1 1 oidc.go:1] "oidc authenticator: initializing plugin" err="x509: unknown authority"\n';
  const error = await waited(
    replica('a', () => metricOf(file)),
    replica('b', () => metricOf('before'), log),
  ).catch((reason: unknown) => reason);
  expect(error).toEqual(refused('identity-not-taken', 'b', 'x509: unknown authority'));
  expect((error as UserError).what).not.toMatch(/\ba\b/);
});

test('of several each has its own cause', async () => {
  const log = 'E1201 10:00:00.1 1 oidc.go:1] "oidc authenticator: initializing plugin" err="no route"\n';
  const error = await waited(
    replica('a', () => undefined),
    replica('b', () => metricOf('before')),
    replica('c', () => metricOf('before'), log),
  ).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UserError);
  const causes = String((error as UserError).why).split('\n');
  expect(causes.map((each) => each[0])).toEqual(['a', 'b', 'c']);
  expect(causes[2]).toContain('no route');
  expect(new Set(causes.map((each) => each.slice(2))).size).toBe(3);
});

test('an API server that is not there yet is waited for', async () => {
  await expect(waited()).rejects.toEqual(refused('identity-not-taken'));
});
