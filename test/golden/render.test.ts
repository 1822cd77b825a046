import { dump } from 'js-yaml';
import { expect, test } from 'vitest';
import type { ClusterSpec } from '../../src/config/schema.ts';
import { buildChildAssets } from '../../src/hosted/addons.ts';
import type { KubeObject, Service } from '../../src/kube/objects.ts';
import { addressesOf, buildIngress, buildServices, memberService } from '../../src/plane/addresses.ts';
import { buildGuards } from '../../src/plane/policies.ts';
import type { Storage } from '../../src/plane/storage.ts';
import { buildWorkloads, settledMembership } from '../../src/plane/workloads.ts';
import { specs } from './specs.ts';

const planeId = 'plane-0123456789';

function service(name: string, clusterIP: string, nodePort?: number): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: {
      clusterIP,
      ports: [
        { port: 443, nodePort },
        { name: 'konnectivity', port: 8132, nodePort: 31235 },
      ],
    },
    status: { loadBalancer: { ingress: [{ ip: '198.51.100.80' }] } },
  };
}

/** Without an infra cluster to ask, auto finds no volumes. */
function storageOf({ etcdStorage, etcdStorageClass }: ClusterSpec): Storage {
  return /^[a-z]/.test(etcdStorage)
    ? { kind: 'ephemeral' }
    : { kind: 'volume', size: etcdStorage, storageClass: etcdStorageClass };
}

function everything(spec: ClusterSpec): KubeObject[] {
  const addresses = addressesOf(spec, [
    service('apiserver', '10.96.0.5', spec.nodePort ?? 31234),
    ...Array.from({ length: spec.etcdMembers }, (_, member) => service(memberService(member), `10.96.0.${6 + member}`)),
  ]);
  const configHash = { etcd: 'e', 'kube-apiserver': 'a', 'kube-controller-manager': 'c', 'kube-scheduler': 's' };
  const child = buildChildAssets(spec, addresses, {
    ca: { certificate: 'THE CA\n', key: '' },
    'kubelet-serving-ca': { certificate: 'THE KUBELET CA\n', key: '' },
  });
  for (const object of child) {
    // The approver is a program, bundled anew at every build; its text is not what is compared here.
    const data = (object as { data?: Record<string, string> }).data;
    if (data?.['approver.mjs']) data['approver.mjs'] = 'THE APPROVER\n';
    const annotations = (object as { spec?: { template?: { metadata?: { annotations?: Record<string, string> } } } })
      .spec?.template?.metadata?.annotations;
    if (object.metadata.name === 'kubelet-serving-approver' && annotations) annotations['k8sk8s.io/config-hash'] = 'h';
  }
  return [
    ...buildServices(planeId, spec),
    ...buildIngress(planeId, spec),
    ...buildGuards(planeId, spec),
    ...buildWorkloads({
      planeId,
      spec,
      addresses,
      storage: storageOf(spec),
      membership: settledMembership(spec.etcdMembers, false),
      configHash,
    }),
    ...child,
  ];
}

test.each(Object.entries(specs))('%s renders as it did (vitest --update writes it anew)', async (name, spec) => {
  const text = everything(spec)
    .map((object) => `---\n${dump(object, { noRefs: true, lineWidth: -1 })}`)
    .join('');
  await expect(text).toMatchFileSnapshot(`rendered/${name}.yaml`);
});
