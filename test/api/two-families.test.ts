import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import { buildAddons } from '../../src/hosted/addons/addons.ts';
import { applyAddons } from '../../src/hosted/apply.ts';
import { connectHosted } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject, Node, Service, Workload } from '../../src/kube/objects.ts';
import { nothingApplied } from '../../src/live/apply.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { renderPlane } from '../../src/plane/render.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { freePort } from '../free-port.ts';
import { fixedPlane } from '../golden/plane.ts';
import { until } from '../until.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';

// A hosted cluster with networks of both families, as large as k8sk8s allows them: what its API server and its controller-manager
// make of the flags that a plane gives them. They run here as processes, so there are no workers.

const spec = parseSpec(
  { host: 'k.example.com', serviceCidr: '10.96.0.0/12,fd00:3::/108', podCidr: '10.0.0.0/11,fd00:2::/48' },
  'here',
);

let plane: ControlPlane;
let hosted: HostedCluster;
let controllers: ChildProcess;
let kubeDns: Service;

beforeAll(async () => {
  const fixed = await fixedPlane(spec);
  const flags = (name: string, wanted: RegExp) => {
    const workload = renderPlane(fixed)
      .all()
      .find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name);
    return (workload as Workload).spec.template.spec.containers[0]!.args!.filter((each) => wanted.test(each));
  };
  kubeDns = buildAddons(spec, fixed.addresses, fixed.bundle.authorities).find(
    ({ kind, metadata }) => kind === 'Service' && metadata.name === 'kube-dns',
  ) as Service;
  plane = await startControlPlane([], () => flags('kube-apiserver', /^--service-cluster-ip-range=/));
  const { server, authority, folder } = plane;
  const client = await issueLeaf(authority, {
    commonName: 'admin',
    organizations: ['system:masters'],
    usages: ['clientAuth'],
  });
  hosted = connectHosted({ server, certificateAuthority: authority.certificate, client });
  const { 'kube-controller-manager': program } = await ensureBinaries(['kube-controller-manager'], {}, quietReporter);
  const log = openSync(path.join(folder, 'kube-controller-manager.log'), 'w');
  controllers = spawn(
    program,
    [
      ...flags('kube-controller-manager', /^--(cluster-cidr|service-cluster-ip-range|allocate-node-cidrs)=/),
      `--kubeconfig=${await plane.kubeconfig('controllers', ['system:masters'])}`,
      '--controllers=node-ipam-controller',
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--secure-port=${await freePort()}`,
      `--cert-dir=${folder}`,
    ],
    { stdio: ['ignore', log, log] },
  );
}, 180_000);

afterAll(async () => {
  const ended = new Promise((resolve) => controllers.once('exit', resolve));
  controllers.kill('SIGKILL');
  await ended;
  await plane.stop();
});

const apply = (object: KubeObject) =>
  applyAddons(hosted, [object], nothingApplied(), {
    reporter: quietReporter,
    signal: new AbortController().signal,
  });

const service = (name: string, more: object): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'kube-system' },
  spec: { ports: [{ port: 53 }], ...more },
});

test('kube-dns has an address of each family, and takes neither from somebody else', async () => {
  const other = service('other', { ipFamilies: ['IPv6'], clusterIP: 'fd00:3::a' });
  await apply(other);
  await expect(apply(kubeDns)).rejects.toMatchObject({
    anchor: 'child-asset-refused',
    why: expect.stringMatching(/service "other".*fd00:3::a/),
  });
  await hosted.delete(other, 'other', 'kube-system');
  await apply(kubeDns);
  const made = await hosted.get<Service>(kubeDns, 'kube-dns', 'kube-system');
  expect(made?.spec).toMatchObject({ clusterIPs: ['10.96.0.10', 'fd00:3::a'], ipFamilies: ['IPv4', 'IPv6'] });
  // What deploy applies again is what is there.
  await apply(kubeDns);
});

test('a Service has the family that it asks for, IPv4 unless it asks, and the Service kubernetes IPv4 alone', async () => {
  const made = async (name: string, more: object) => {
    await apply(service(name, more));
    return (await hosted.get<Service>(kubeDns, name, 'kube-system'))!.spec;
  };
  expect(await made('six', { ipFamilies: ['IPv6'] })).toMatchObject({ clusterIP: expect.stringMatching(/^fd00:3::/) });
  expect(await made('usual', {})).toMatchObject({ ipFamilies: ['IPv4'] });
  const kubernetes = await hosted.get<Service>(kubeDns, 'kubernetes', 'default');
  expect(kubernetes?.spec).toMatchObject({ clusterIPs: ['10.96.0.1'], ipFamilies: ['IPv4'] });
});

test('a Node gets a range of each family', async () => {
  const kind = { apiVersion: 'v1', kind: 'Node' };
  await hosted.create({ ...kind, metadata: { name: 'worker-1' } } as KubeObject);
  const ranges = await until(
    async () => (await hosted.get<Node & { spec?: { podCIDRs?: string[] } }>(kind, 'worker-1'))?.spec?.podCIDRs,
  );
  expect(ranges).toEqual([
    expect.stringMatching(/^10\.\d+\.\d+\.0\/24$/),
    expect.stringMatching(/^fd00:2:0:.*::\/64$|^fd00:2::\/64$/),
  ]);
});
