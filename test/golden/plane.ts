import type { ClusterSpec } from '../../src/config/schema.ts';
import type { KubeObject, Secret, Service } from '../../src/kube/objects.ts';
import type { Authority } from '../../src/pki/authority.ts';
import { ensureCertificates, type PkiBundle } from '../../src/pki/certificates.ts';
import { type Addresses, addressesOf, memberService } from '../../src/plane/addresses.ts';
import type { PlaneRecord } from '../../src/plane/record.ts';
import { certificateContext } from '../../src/plane/render.ts';
import type { Storage } from '../../src/plane/storage.ts';

/*
 * A plane of which nothing is left to chance, so that what is rendered for it can be compared byte by byte: its addresses
 * and its keys.
 */

/** Everything that a plane of this spec is rendered from. */
export async function fixedPlane(spec: ClusterSpec, phase: PlaneRecord['phase'] = 'deploying') {
  const addresses = fixedAddresses(spec);
  const record: PlaneRecord = {
    planeId: 'plane-0123456789',
    toolVersion: '0.0.0',
    spec,
    issuers: addresses.issuers,
    phase,
  };
  return { record, spec, addresses, storage: storageOf(spec), bundle: await fixedBundle(spec, addresses) };
}

function fixedAddresses(spec: ClusterSpec): Addresses {
  return addressesOf(spec, [
    service('apiserver', '10.96.0.5', spec.nodePort ?? 31234),
    ...Array.from({ length: spec.etcdMembers }, (_, member) => service(memberService(member), `10.96.0.${6 + member}`)),
  ]);
}

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

/**
 * Leaves as they are issued, of which the config hashes take in no more than what they say (their names, their issuer);
 * words in the place of all else.
 */
async function fixedBundle(spec: ClusterSpec, addresses: Addresses): Promise<PkiBundle> {
  const { bundle } = await ensureCertificates(undefined, certificateContext('team-a', spec, addresses), {
    keyType: 'ec',
  });
  const words = (name: string) => ({ certificate: `CERTIFICATE OF ${name}\n`, key: `KEY OF ${name}\n` });
  const authorities: Record<string, Authority> = Object.fromEntries(
    Object.keys(bundle.authorities).map((name) => [name, words(name)]),
  );
  if (spec.seal !== 'none')
    authorities.ca = { ...words('ca'), sealed: { text: 'AGE FILE OF ca\n' }, signer: words('ca-signer') };
  return {
    authorities,
    leaves: {
      ...bundle.leaves,
      // Its server reads it once, so it is hashed as it is.
      ...(bundle.leaves['konnectivity-server'] && { 'konnectivity-server': words('konnectivity-server') }),
    },
    serviceAccount: { publicKey: 'PUBLIC KEY OF service-account\n', privateKey: 'KEY OF service-account\n' },
    encryption: [{ name: 'key1-20260101', secret: Buffer.alloc(32).toString('base64') }],
  };
}

/** The names of a Secret's files without what is in them; anything else as it is. */
export function withoutBytes(object: KubeObject): KubeObject {
  if (object.kind !== 'Secret') return object;
  const { data = {}, ...rest } = object as Secret;
  return { ...rest, files: Object.keys(data).sort() } as KubeObject;
}
