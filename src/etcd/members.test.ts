import { expect, test } from 'vitest';
import { ExecError, type ExecResult } from '../kube/exec.ts';
import type { KubeObject, Workload } from '../kube/objects.ts';
import { Existing } from '../live/apply.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { quietReporter } from '../ui/quiet.ts';
import { Etcdctl, EtcdError } from './etcdctl.ts';
import { type EtcdPlane, growTo, presentMembers, shrinkTo } from './members.ts';

const statefulSet = (name: string, replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name },
  spec: { replicas, template: { spec: { containers: [{ name: 'etcd', image: 'etcd' }] } } },
});

test('worker pods are no members of etcd', async () => {
  const store = new InfraStore();
  store.put('statefulsets/worker-pod', statefulSet('worker-pod', 3));
  const members = async () => presentMembers(await Existing.read(store.cluster));
  expect(await members()).toBe(0);
  store.put('statefulsets/etcd', statefulSet('etcd', 1));
  expect(await members()).toBe(1);
});

/** A plane whose etcd does what it is told, and whose first answer to a change of its members does not come back. */
class FakeEtcd {
  readonly store = new InfraStore();
  /** By number of the pod. */
  readonly members = new Map<number, { ID: number; name: string; isLearner?: boolean }>();
  readonly changes: string[] = [];
  /** Changes of which the answer is lost. */
  readonly lost = ['add', 'remove'];

  constructor(members: number) {
    for (let member = 0; member < members; member++) {
      this.members.set(member, { ID: member + 1, name: `etcd-${member}` });
      this.#putPod(member);
    }
  }

  get plane(): EtcdPlane {
    const { cluster } = this.store;
    cluster.exec = async (_, [, ...words]) => this.#run(words.filter((word) => !word.startsWith('--')));
    return {
      cluster,
      planeId: 'plane-1',
      addresses: ['10.0.0.0', '10.0.0.1'],
      build: ({ pods }) => {
        // The controller and the kubelet.
        if (this.members.has(pods - 1)) this.#start(pods - 1);
        else this.store.objects.delete(`pods/etcd-${pods}`);
        return statefulSet('etcd', pods) as unknown as Workload;
      },
      reporter: quietReporter,
      failure: () => undefined,
      timeout: 3000,
      signal: new AbortController().signal,
    };
  }

  #start(member: number): void {
    this.members.get(member)!.name = `etcd-${member}`;
    this.#putPod(member);
    this.store.objects.delete(`pods/etcd-${member + 1}`);
  }

  #putPod(member: number): void {
    const containerStatuses = [{ name: 'etcd', ready: true, state: { running: {} } }];
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: `etcd-${member}` }, spec: { containers: [] } };
    this.store.put(`pods/etcd-${member}`, { ...pod, status: { containerStatuses } } as KubeObject);
  }

  #run([what, verb, argument]: string[]): ExecResult {
    const done = (stdout: object = {}) => ({ code: 0, stdout: JSON.stringify(stdout), stderr: '' });
    const refused = (stderr: string) => ({ code: 1, stdout: '', stderr: `Error: ${stderr}` });
    if (what !== 'member') return done([]);
    if (verb === 'list') return done({ members: [...this.members].map(([member, each]) => listed(member, each)) });
    this.changes.push(verb!);
    const [number] = [...this.members].find(([, { ID }]) => ID.toString(16) === argument) ?? [];
    if (verb === 'add') {
      const member = Number(argument!.replace('etcd-', ''));
      if (this.members.has(member)) return refused('etcdserver: Peer URLs already exists');
      this.members.set(member, { ID: member + 1, name: '', isLearner: true });
    } else if (number === undefined) return refused('etcdserver: member not found');
    else if (verb === 'remove') this.members.delete(number);
    else this.members.get(number)!.isLearner = false;
    if (this.lost[0] !== verb) return done();
    this.lost.shift();
    throw new ExecError('the connection ended before the command did');
  }
}

const listed = (member: number, each: object) => ({ ...each, peerURLs: [`https://10.0.0.${member}:2380`] });

test('a member that was added or removed, and of which the answer was lost, is not told about again', async () => {
  const etcd = new FakeEtcd(1);
  await growTo(etcd.plane, 2);
  expect([...etcd.members.values()]).toMatchObject([{ name: 'etcd-0' }, { name: 'etcd-1', isLearner: false }]);
  await shrinkTo(etcd.plane, 1, 2);
  expect([...etcd.members.keys()]).toEqual([0]);
  expect(etcd.changes).toEqual(['add', 'promote', 'remove']);
  expect(etcd.lost).toEqual([]);
});

test('what is compacted already is compacted, and other refusals are told', async () => {
  const said = (stderr: string) => {
    const { cluster } = new InfraStore();
    cluster.exec = async () => ({ code: 1, stdout: '', stderr });
    return new Etcdctl(cluster, 'etcd-0').compact(7, 1);
  };
  await said('Error: etcdserver: mvcc: required revision has been compacted');
  await expect(said('Error: context deadline exceeded')).rejects.toThrow(EtcdError);
});
