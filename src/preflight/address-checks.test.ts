import { lookup } from 'node:dns/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import type { ClusterSpecInput } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { host } from './address-checks.ts';
import type { DeployContext, Outcome } from './check.ts';

vi.mock('node:dns/promises', () => ({ lookup: vi.fn() }));
/** How long something was waited for, milliseconds, and what makes the last wait pass. */
const time = vi.hoisted(() => ({ waits: [] as number[], pass: (): void => undefined }));
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: (milliseconds: number) => {
    time.waits.push(milliseconds);
    return new Promise<void>((resolve) => {
      time.pass = resolve;
    });
  },
}));
const resolver = vi.mocked(lookup as unknown as () => Promise<{ address: string; family: number }[]>);
afterEach(() => {
  resolver.mockReset();
});

function probe(
  input: Partial<ClusterSpecInput> = {},
  hostedBy: InfraCluster['hostedBy'] = 'address',
): Promise<Outcome> {
  const spec = parseSpec({ host: 'k.example.com', ...input }, 'test');
  return host.probe({ spec, cluster: { hostedBy } } as DeployContext);
}
const failure = (code: string) => Object.assign(new Error(`getaddrinfo ${code}`), { code });

test('an address needs no resolver', async () => {
  expect(await probe({ host: '192.0.2.7', expose: 'nodeport' })).toEqual({
    state: 'ok',
    claim: 'API server host 192.0.2.7 is an address',
  });
  expect(resolver).not.toHaveBeenCalled();
});

test('a name that resolves', async () => {
  resolver.mockResolvedValue([{ address: '192.0.2.7', family: 4 }]);
  expect((await probe()).state).toBe('ok');
});

test.each([
  ['ENOTFOUND', 'does not know the name'],
  ['EAI_AGAIN', 'does not answer'],
  ['EAI_FAIL', 'says EAI_FAIL'],
])('a resolver that says %s', async (code, words) => {
  resolver.mockRejectedValue(failure(code));
  expect(await probe()).toMatchObject({ state: 'failed', why: expect.stringContaining(words) });
});

test('a resolver that hangs is given up after 3 s', async () => {
  resolver.mockReturnValue(new Promise(() => undefined));
  time.waits = [];
  const answer = probe();
  await vi.waitFor(() => expect(time.waits).toEqual([3000]));
  time.pass();
  expect(await answer).toMatchObject({ state: 'failed', why: expect.stringContaining('3 s') });
});

test('where the name has to lead depends on how the plane is exposed', async () => {
  resolver.mockRejectedValue(failure('ENOTFOUND'));
  expect(await probe()).toMatchObject({ fix: expect.stringContaining('the ingress controller') });
  expect(await probe({ expose: 'nodeport' })).toMatchObject({ fix: expect.stringContaining('a node of the infra') });
});

test('who reaches hosted API servers by their services need not know the name', async () => {
  resolver.mockRejectedValue(failure('ENOTFOUND'));
  expect(await probe({}, 'service')).toMatchObject({ state: 'unknown' });
});
