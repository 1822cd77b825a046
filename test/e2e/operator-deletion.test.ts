import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { dump } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { newest } from '../../src/config/versions.ts';
import { deletableAnnotation } from '../../src/operator/field-policy.ts';
import { operatorNamespace } from '../../src/operator/names.ts';
import { firstInfra, requireState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { runsAllOf } from '../test-all.ts';
import { installOperator, operatorPods, removeDefinition, Team } from './operator-world.ts';
import { asInfraAdmin, eventually, k8sk8sAsInfraAdmin, sandboxCommand, succeeded } from './world.ts';

// What becomes of a plane when its object, its namespace, the definition or the operator goes, each with a plane of its own; the times
// stand in docs/operator.md. It takes about 15 minutes, so it runs with `npm run test:all`.

const definition = 'hostedcontrolplanes.k8sk8s.io';

async function newPlane(name: string, spec: object = {}, fields: string[] = []): Promise<Team> {
  const team = await Team.open(`deletion-${name}`, fields);
  succeeded(await k8sk8sAsInfraAdmin('operator', 'allow', '-n', team.home.name));
  await team.apply({ ...specOf(name), ...spec });
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

async function namespaceGone(team: Team, seconds = 120): Promise<void> {
  await eventually(seconds, async () => expect((await asInfraAdmin('get', 'namespace', team.home.name)).code).toBe(1));
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

/** Who asks the infra API waits up to 400 ms, and a tenth of the time is left for all answers: its process stands still in between. */
async function whileInfraIsSlow(work: () => Promise<void>): Promise<void> {
  const { pid } = firstInfra(requireState(inject('sandbox'))).daemons['kube-apiserver']!;
  let isOver = false;
  const slowed = (async () => {
    while (!isOver) {
      process.kill(pid, 'SIGSTOP');
      await sleep(400);
      process.kill(pid, 'SIGCONT');
      await sleep(45);
    }
  })();
  try {
    await work();
  } finally {
    isOver = true;
    await slowed;
  }
}

/** An infra node that carries neither the infra cluster's own control plane nor the operator. */
async function otherNode(): Promise<string> {
  const state = requireState(inject('sandbox'));
  const { stdout } = succeeded(await operatorPods('get', 'pods', '-o', 'jsonpath={.items[*].spec.nodeName}'));
  const taken = [firstInfra(state).name, ...stdout.split(' ')];
  return state.machines.find(({ role, name }) => role === 'infra' && !taken.includes(name))!.name;
}

async function untilNodesReady(): Promise<void> {
  succeeded(await asInfraAdmin('wait', 'nodes', '--all', '--for=condition=Ready', '--timeout=120s'));
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

  test('of the object during an upgrade', async () => {
    const team = await newPlane('upgrade', { kubernetesVersion: '1.36.3' });
    await available(team);
    await team.patch({ kubernetesVersion: newest.patch });
    await team.until(60, 'Progressing', { status: 'True', reason: 'Upgrading' });
    await sleep(5000);
    await timed('object, during an upgrade', async () => {
      await deleteObject(team);
      await team.gone(120);
    });
    // Nothing that was under way makes any of it anew.
    await sleep(10_000);
    expect(await team.left()).toBe('');
  });

  test('of the object and of the namespace while the infra API is slow', async () => {
    const [one, other] = [await newPlane('slow'), await newPlane('slow-namespace')];
    await Promise.all([available(one), available(other)]);
    await whileInfraIsSlow(async () => {
      await timed('object, infra API slow', async () => {
        await deleteObject(one);
        await one.gone(180);
      });
      await timed('namespace, infra API slow', async () => {
        await deleteNamespace(other);
        await namespaceGone(other, 240);
      });
    });
  });

  test('of the object while its infra node is gone: what is on that node stays until it is back', async () => {
    const node = await otherNode();
    const team = await newPlane('node', { nodeSelector: { 'kubernetes.io/hostname': node } }, ['nodeSelector']);
    await available(team);
    const { machines } = requireState(inject('sandbox'));
    process.kill(machines.find(({ name }) => name === node)!.init!.pid, 'SIGKILL');
    try {
      await timed('object, its node gone: all but what waits for the node', async () => {
        await deleteObject(team);
        succeeded(await team.home.infra('wait', 'hcp/k8sk8s', '--for=delete', '--timeout=60s'));
        await eventually(120, async () => {
          const kinds = (await team.left()).split('\n').map((name) => name.split('/')[0]);
          expect([...new Set(kinds)].sort()).toEqual(['persistentvolumeclaim', 'pod']);
        });
      });
    } finally {
      await sandboxUp({ name: inject('sandbox'), workers: 0, infraNodes: 0 }, quietReporter);
      await untilNodesReady();
    }
    await timed('the rest, once the node is back', () => team.gone(120));
  });

  test('of the object and of the namespace of a plane with a Service of type LoadBalancer', async () => {
    const balanced = { expose: 'loadbalancer' };
    const [one, other] = [await newPlane('balanced', balanced), await newPlane('balanced-namespace', balanced)];
    const addresses = async () => {
      const path = '{.items[*].status.loadBalancer.ingress[*].ip}';
      return succeeded(await asInfraAdmin('get', 'services', '-A', '-o', `jsonpath=${path}`)).stdout.split(' ');
    };
    const addressOf = async ({ home }: Team) => {
      const path = 'jsonpath={.status.loadBalancer.ingress[0].ip}';
      return eventually(60, async () => {
        const { stdout } = succeeded(await home.infra('get', 'service', 'apiserver', '-o', path));
        expect(stdout).not.toBe('');
        return stdout;
      });
    };
    succeeded(await sandboxCommand(['load-balancer'], one.home));
    const given = [await addressOf(one), await addressOf(other)];
    await Promise.all([available(one), available(other)]);
    await timed('object, with a load balancer', async () => {
      await deleteObject(one);
      await one.gone(90);
    });
    await timed('namespace, with a load balancer', async () => {
      await deleteNamespace(other);
      await namespaceGone(other);
    });
    for (const address of given) expect(await addresses()).not.toContain(address);
  });

  test('of an object whose policy Backup waits, in a namespace whose bindings go first', async () => {
    const team = await available(await newPlane('bindings', { deletionPolicy: 'Backup' }));
    const backup = '--for=jsonpath={.status.deletionPolicy}=Backup';
    succeeded(await team.home.infra('wait', 'hcp/k8sk8s', backup, '--timeout=60s'));
    await timed('namespace, with Backup, its bindings first', async () => {
      succeeded(await asInfraAdmin('-n', team.home.name, 'delete', 'rolebindings', '--all', '--wait=true'));
      await deleteNamespace(team);
      await namespaceGone(team);
    });
  });

  test('of an object that was told Retain a moment before: refused, and the plane stays', async () => {
    const team = await available(await newPlane('retained'));
    await withoutOperator(async () => {
      await team.patch({ deletionPolicy: 'Retain' });
      expect((await team.home.infra('delete', 'hcp', 'k8sk8s', '--wait=false')).stderr).toContain('k8sk8s-deletion');
    });
    const retain = '--for=jsonpath={.status.deletionPolicy}=Retain';
    succeeded(await team.home.infra('wait', 'hcp/k8sk8s', retain, '--timeout=120s'));
    await deleteObject(team);
    await sleep(5000);
    expect(await team.left()).toContain('statefulset');
    succeeded(await team.home.k8sk8s('destroy', '--yes'));
    await team.gone(60);
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
