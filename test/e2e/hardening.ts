import { expect } from 'vitest';
import { read, store } from './credentials-world.ts';
import { eventually, type Namespace, run, succeeded } from './world.ts';

// What a plane does not let happen; tests of credentials.test.ts.

export async function auditLogKeepsSecrets(home: Namespace): Promise<void> {
  const { secret } = await store(home, 'audited');
  await read(home, 'audited');
  await eventually(30, async () => {
    const { stdout } = succeeded(await home.k8sk8s('logs', '--audit'));
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const reading = events.find(({ verb, objectRef }) => verb === 'get' && objectRef?.name === 'audited');
    expect(reading).toMatchObject({ level: 'Metadata', user: { username: 'kubernetes-admin' } });
    expect(stdout).not.toContain(secret);
    expect(stdout).not.toContain(Buffer.from(secret).toString('base64'));
    expect(stdout).not.toMatch(/"(request|response)Object"/);
  });
  const { stdout } = succeeded(await home.k8sk8s('logs', 'kube-apiserver'));
  expect(stdout).not.toContain('audit.k8s.io/v1"');
  expect(stdout.trim()).not.toBe('');
}

export async function weakTlsIsRefused(home: Namespace, host: string): Promise<void> {
  const hello = (...args: string[]) =>
    run('sh', [
      '-c',
      `openssl s_client -connect ${host}:443 -servername ${host} ${args.join(' ')} </dev/null 2>&1 | grep -c "BEGIN CERT"`,
    ]);
  expect((await hello('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256')).stdout.trim()).toBe('1');
  expect((await hello('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA')).stdout.trim()).toBe('0');
  expect((await hello('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')).stdout.trim()).toBe('0');
  const token = await home.ask('create', 'token', 'default', '--duration=720h');
  const { exp, iat } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
  expect((exp - iat) / 3600).toBe(24);
}

export async function noAddressOfOthers(home: Namespace): Promise<void> {
  const answer = await home.hosted(
    ['apply', '-f', '-'],
    'apiVersion: v1\nkind: Service\nmetadata: {name: thief}\nspec: {externalIPs: [192.0.2.1], ports: [{port: 80}]}\n',
  );
  expect(answer.stderr).toContain('externalIPs');
  expect(answer.code).not.toBe(0);
}
