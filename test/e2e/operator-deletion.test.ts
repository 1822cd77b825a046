import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { dump } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deletableAnnotation } from '../../src/operator/field-policy.ts';
import { operatorNamespace } from '../../src/operator/names.ts';
import { runsAllOf } from '../test-all.ts';
import { installOperator, removeDefinition, Team } from './operator-world.ts';
import { asInfraAdmin, eventually, k8sk8sAsInfraAdmin, succeeded } from './world.ts';

// What becomes of a plane when its object, its namespace, the definition or the operator goes, each with a plane of its own; the times
// stand in docs/operator.md. It takes about 9 minutes, so it runs with `npm run test:all`.

const definition = 'hostedcontrolplanes.k8sk8s.io';

async function newPlane(name: string): Promise<Team> {
  const team = await Team.open(`deletion-${name}`);
  succeeded(await k8sk8sAsInfraAdmin('operator', 'allow', '-n', team.home.name));
  await team.apply(specOf(name));
  return team;
}

const specOf = (name: string) => ({ host: `${name}.deletion.e2e.test`, profile: 'lite' });

async function available(team: Team): Promise<Team> {
  succeeded(await team.home.infra('wait', 'hcp/k8sk8s', '--for=condition=Available', '--timeout=150s'));
  await team.brought(60);
  return team;
}

const deleteObject = (team: Team, ...how: string[]) =>
  team.home.infra('delete', 'hcp', 'k8sk8s', '--wait=false', ...how).then(succeeded);
const deleteNamespace = (team: Team) =>
  asInfraAdmin('delete', 'namespace', team.home.name, '--wait=false').then(succeeded);

async function namespaceGone(team: Team): Promise<void> {
  await eventually(120, async () => expect((await asInfraAdmin('get', 'namespace', team.home.name)).code).toBe(1));
}

async function withoutOperator(work: () => Promise<void>): Promise<void> {
  const scale = (replicas: number) =>
    asInfraAdmin('-n', operatorNamespace, 'scale', 'deployment/k8sk8s-operator', `--replicas=${replicas}`);
  succeeded(await scale(0));
  await eventually(60, async () =>
    expect(succeeded(await asInfraAdmin('-n', operatorNamespace, 'get', 'pods', '-o', 'name')).stdout).toBe(''),
  );
  try {
    await work();
  } finally {
    succeeded(await scale(1));
  }
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const begun = Date.now();
  await work();
  process.stderr.write(`deletion: ${what}: ${((Date.now() - begun) / 1000).toFixed(1)} s\n`);
}

describe.runIf(runsAllOf('e2e/operator-deletion'))('deletion', { timeout: 400_000 }, () => {
  beforeAll(installOperator);
  afterAll(async () => {
    await asInfraAdmin('delete', 'hcp', '--all', '-A', '--wait=false');
    await removeDefinition();
    const { stdout } = await asInfraAdmin('get', 'namespaces', '-o', 'name');
    const ours = stdout.split('\n').filter((name) => name.startsWith('namespace/deletion-'));
    if (ours.length > 0) await asInfraAdmin('delete', ...ours, '--wait=false');
  });

  test.each(['background', 'foreground'])('of the object, in the %s', async (how) => {
    const team = await available(await newPlane(how));
    await timed(`object, ${how}`, async () => {
      await deleteObject(team, `--cascade=${how}`);
      await team.gone(90);
    });
  });

  test('of the object, with orphans: the plane stays', async () => {
    const team = await available(await newPlane('orphan'));
    succeeded(await team.home.infra('delete', 'hcp', 'k8sk8s', '--cascade=orphan', '--wait=true'));
    await sleep(5000);
    succeeded(await team.home.k8sk8s('destroy', '--yes'));
    await team.gone(60);
  });

  test('of the object during the first deploy', async () => {
    const team = await newPlane('early');
    await eventually(60, async () => expect(await team.left()).toContain('statefulset'));
    await timed('object, during the first deploy', async () => {
      await deleteObject(team);
      await team.gone(90);
    });
  });

  test('of the object during a change', async () => {
    const team = await available(await newPlane('change'));
    await team.patch({ kubernetesVersion: null, sans: ['other.deletion.e2e.test'] });
    await team.until(30, 'Progressing', { status: 'True', reason: 'Changing' });
    await sleep(2000);
    await timed('object, during a change', async () => {
      await deleteObject(team);
      await team.gone(90);
    });
  });

  test('of the object while its CAs are replaced', async () => {
    const team = await available(await newPlane('rotated'));
    const rotation = team.home.started('certs', 'rotate-ca', '--yes');
    await rotation.said(/k8sk8s-ca/, 60);
    await timed('object, while its CAs are replaced', async () => {
      await deleteObject(team);
      await team.gone(120);
    });
    rotation.end();
    await rotation.ended();
    await team.gone(60);
  });

  test('of the object of a plane with backups and with a volume of Retain: these two stay', async () => {
    const team = await Team.open('deletion-kept', ['etcdStorageClass']);
    const { name, cwd } = team.home;
    const inside = (...args: string[]) => asInfraAdmin('-n', name, ...args);
    succeeded(await k8sk8sAsInfraAdmin('operator', 'allow', '-n', name));
    const retaining = {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name },
      provisioner: 'rancher.io/local-path',
      reclaimPolicy: 'Retain',
      volumeBindingMode: 'WaitForFirstConsumer',
    };
    const recipients = await identityToRecipient(await generateX25519Identity());
    const offsite = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'offsite', namespace: name, labels: { 'k8sk8s.io/backup-destination': 'true' } },
      stringData: { recipients, size: '1Gi' },
    };
    const file = path.join(cwd, 'around.yaml');
    writeFileSync(file, [retaining, offsite].map((each) => dump(each)).join('---\n'));
    succeeded(await asInfraAdmin('apply', '-f', file));
    await team.apply({ ...specOf('kept'), etcdStorageClass: name, backup: { destination: 'offsite', schedule: '1h' } });
    await available(team);
    succeeded(await inside('create', 'job', 'now', '--from=cronjob/k8sk8s-backup'));
    succeeded(await inside('wait', 'job/now', '--for=condition=Complete', '--timeout=120s'));
    await timed('object, with backups and a volume of Retain', async () => {
      await deleteObject(team);
      const kept = ['persistentvolumeclaim/k8sk8s-backups', 'secret/offsite'];
      await eventually(90, async () => expect((await team.left()).split('\n').sort()).toEqual(kept));
    });
    const released = '{.items[?(@.status.phase=="Released")].spec.claimRef.namespace}';
    await eventually(30, async () =>
      expect(succeeded(await asInfraAdmin('get', 'pv', '-o', `jsonpath=${released}`)).stdout.split(' ')).toContain(
        name,
      ),
    );
    const { stdout } = succeeded(await asInfraAdmin('get', 'pv', '-o', 'json'));
    const { items } = JSON.parse(stdout) as {
      items: { metadata: { name: string }; spec: { storageClassName: string } }[];
    };
    const ours = items.filter(({ spec }) => spec.storageClassName === name).map(({ metadata }) => metadata.name);
    expect(ours).toHaveLength(1);
    succeeded(await asInfraAdmin('delete', 'pv', ...ours, '--wait=false'));
    succeeded(await asInfraAdmin('delete', 'storageclass', name));
  });

  test('of the object of a plane that sleeps', async () => {
    const team = await available(await newPlane('asleep'));
    await team.patch({ asleep: true });
    await team.until(90, 'Progressing', { reason: 'Asleep' });
    await timed('object, asleep', async () => {
      await deleteObject(team);
      await team.gone(90);
    });
  });

  test('of the namespace', async () => {
    const team = await available(await newPlane('namespace'));
    await timed('namespace', async () => {
      await deleteNamespace(team);
      await namespaceGone(team);
    });
  });

  test('of the object and of its namespace at once', async () => {
    const team = await available(await newPlane('at-once'));
    await timed('object and namespace at once', async () => {
      await Promise.all([deleteObject(team), deleteNamespace(team)]);
      await namespaceGone(team);
    });
  });

  test('of the object and of the namespace where the operator is gone', async () => {
    const [one, other] = [await newPlane('alone'), await newPlane('alone-namespace')];
    await Promise.all([available(one), available(other)]);
    await withoutOperator(async () => {
      await timed('object, operator gone', async () => {
        await deleteObject(one);
        await one.gone(90);
      });
      await timed('namespace, operator gone', async () => {
        await deleteNamespace(other);
        await namespaceGone(other);
      });
    });
  });

  test('of the definition: not in passing, and every plane with it', async () => {
    const team = await available(await newPlane('definition'));
    expect((await asInfraAdmin('delete', 'crd', definition)).stderr).toContain(deletableAnnotation);
    succeeded(await asInfraAdmin('annotate', 'crd', definition, `${deletableAnnotation}=yes`));
    await timed('definition', async () => {
      succeeded(await asInfraAdmin('delete', 'crd', definition, '--wait=false'));
      await team.gone(90);
    });
  });
});
