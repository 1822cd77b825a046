import { expect, test } from 'vitest';
import { parseSpec } from '../../../config/parse.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import type { ConfigMap, Workload } from '../../../kube/objects.ts';
import { flannel } from './flannel.ts';

const surroundings = { apiHost: 'k.example.com', apiPort: '443', ca: 'CA' };

function rendered(changed: Partial<ClusterSpec>) {
  const spec = parseSpec({ host: 'k.example.com', ...changed }, 'in a test');
  const objects = flannel.objects(spec, surroundings);
  const { data } = objects.find(({ kind }) => kind === 'ConfigMap') as ConfigMap;
  const daemonSet = objects.find(({ kind }) => kind === 'DaemonSet') as Workload;
  return {
    net: JSON.parse(data!['net-conf.json']!),
    delegate: JSON.parse(data!['cni-conf.json']!).plugins[0].delegate,
    args: daemonSet.spec.template.spec.containers[0]!.args,
    hash: daemonSet.spec.template.metadata?.annotations?.['k8sk8s.io/config-hash'],
    reach: flannel.reach(spec),
  };
}

test('vxlan by default, and its port and MTU where they are given', () => {
  expect(rendered({}).net.Backend).toEqual({ Type: 'vxlan' });
  expect(rendered({ flannelPort: 4789, flannelMtu: 9000 }).net.Backend).toEqual({
    Type: 'vxlan',
    Port: 4789,
    MTU: 9000,
  });
  expect(rendered({ flannelPort: 4789 }).reach).toEqual(['4789/udp (flannel vxlan)']);
});

test('host-gw has its MTU from the CNI plugin, and needs no port between workers', () => {
  const { net, delegate, reach } = rendered({ flannelBackend: 'host-gw', flannelMtu: 1400 });
  expect(net.Backend).toEqual({ Type: 'host-gw' });
  expect(delegate.mtu).toBe(1400);
  expect(reach).toEqual([]);
});

test("the Node's address chooses the interface unless one is named", () => {
  expect(rendered({}).args).toContain('--iface=$(NODE_IP)');
  expect(rendered({ flannelInterface: 'eth1' }).args).toContain('--iface=eth1');
});

test('pods are replaced for another option, since they read it at their start', () => {
  const hashes = [
    {},
    { flannelPort: 4789 },
    { flannelMtu: 1400 },
    { flannelInterface: 'eth1' },
    { flannelBackend: 'host-gw' },
  ];
  expect(new Set(hashes.map((changed) => rendered(changed as Partial<ClusterSpec>).hash)).size).toBe(hashes.length);
});
