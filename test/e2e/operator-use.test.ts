import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runsAllOf } from '../test-all.ts';
import { installOperator, removeDefinition, Team } from './operator-world.ts';
import { asInfraAdmin, eventually, k8sk8sAsInfraAdmin, sandboxCommand, succeeded } from './world.ts';

// What an object says of its plane's use, with pods: sleep when nobody uses it, and backups to where an administrator says. The tests follow
// each other, and take minutes.

const host = 'operator-use.e2e.test';
let team: Team;

describe.runIf(runsAllOf('e2e/operator-use'))('the use of a plane', { timeout: 600_000 }, () => {
  beforeAll(async () => {
    await installOperator();
    team = await Team.open('operator-use');
    succeeded(await k8sk8sAsInfraAdmin('operator', 'allow', '-n', team.home.name));
    succeeded(await sandboxCommand(['host', host], team.home));
  });

  afterAll(async () => {
    await team?.home.infra('delete', 'hcp', 'k8sk8s', '--ignore-not-found');
    await team?.home.k8sk8s('destroy', '--yes');
    await removeDefinition();
  });

  const status = async () => (await team.object()).status!;

  test('a backup is made by the schedule of the object, with the keys of the administrator', async () => {
    const recipient = await identityToRecipient(await generateX25519Identity());
    const inside = (...args: string[]) => asInfraAdmin('-n', team.home.name, ...args);
    succeeded(
      await inside(
        'create',
        'secret',
        'generic',
        'offsite',
        `--from-literal=recipients=${recipient}`,
        '--from-literal=size=1Gi',
      ),
    );
    succeeded(await inside('label', 'secret', 'offsite', 'k8sk8s.io/backup-destination=true'));
    await team.apply({ host, profile: 'lite', backup: { destination: 'offsite' } });
    await team.brought(180);
    await team.until(20, 'Degraded', { status: 'False' });
    succeeded(await inside('create', 'job', 'now', '--from=cronjob/k8sk8s-backup'));
    succeeded(await inside('wait', 'job/now', '--for=condition=Complete', '--timeout=120s'));
    const refused = await team.home.k8sk8s('backup', 'schedule', '--recipient', recipient);
    expect(refused.code).not.toBe(0);
    await team.patch({ backup: null });
    await eventually(60, async () => expect((await inside('get', 'cronjob', 'k8sk8s-backup')).code).not.toBe(0));
  });

  test('a plane that nobody uses falls asleep, not before, and says when', async () => {
    await team.login();
    await team.ask('create', 'configmap', 'kept', '--from-literal=a=b');
    await team.patch({ sleepAfter: '1m' });
    const [first, said] = await eventually(60, async () => {
      const { lastUsed, sleepsAt } = await status();
      expect(sleepsAt).toBeDefined();
      return [Date.parse(lastUsed!), Date.parse(sleepsAt!)] as const;
    });
    expect(said - first).toBe(60_000);
    // Somebody uses it for longer than that.
    let last = Date.now();
    for (const end = Date.now() + 90_000; Date.now() < end; last = Date.now()) {
      await team.ask('get', 'configmap', 'kept');
      await new Promise((resolve) => setTimeout(resolve, 10_000));
    }
    expect((await team.condition('Available'))?.status).toBe('True');
    await team.until(150, 'Available', { status: 'False', reason: 'Asleep' });
    expect(Date.now() - last).toBeGreaterThan(55_000);
    await eventually(30, async () => expect((await team.pods('-o', 'name')).stdout).toBe(''));
    expect((await status()).sleepsAt).toBeUndefined();
  });

  test('it is woken by the command and by its annotation, with its data, and falls asleep again', async () => {
    succeeded(await team.home.k8sk8s('wake'));
    expect(await team.ask('get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}')).toBe('b');
    expect((await team.object()).spec.asleep).toBeUndefined();
    await team.until(180, 'Available', { status: 'False', reason: 'Asleep' });
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    succeeded(await team.home.infra('annotate', '--overwrite', 'hcp/k8sk8s', `k8sk8s.io/used=${soon}`));
    await team.until(120, 'Available', { status: 'True' });
    await eventually(60, async () => expect(Date.parse((await status()).sleepsAt!)).toBeGreaterThan(Date.parse(soon)));
    const { stdout } = await team.home.k8sk8s('status', '--output', 'json');
    expect(JSON.parse(stdout).sleepsAt).toBe((await status()).sleepsAt);
  });
});
