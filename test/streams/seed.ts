import { parseSpec } from '../../src/config/parse.ts';
import { buildAddons } from '../../src/hosted/addons/addons.ts';
import type { KubeObject, Service, Workload } from '../../src/kube/objects.ts';
import { ensureCertificates } from '../../src/pki/certificates.ts';
import { addressesOf } from '../../src/plane/addresses.ts';
import { settledMembership } from '../../src/plane/components/etcd/membership.ts';
import { toConfigMap } from '../../src/plane/record.ts';
import { certificateContext, renderPlane } from '../../src/plane/render.ts';
import type { Storage } from '../../src/plane/storage.ts';
import { merged } from './store.ts';
import { hashIn, type Tape } from './tape.ts';

interface Seeds {
  /** `applied`: what k8sk8s would apply, where it is its object. */
  objects: { object: KubeObject; applied?: KubeObject }[];
  /** Of the hosted cluster. */
  hosted: KubeObject[];
  /** What the tape calls what has another name here. */
  names: [string, string][];
}

/**
 * The namespace as the tape begins: its objects, and, where there was a plane, today's rendering of it, with certificates of
 * its own, for a hosted API at `localhost`. So a change of a template is none that is rolled out when the tape is played.
 */
export async function seeded(tape: Tape, port: number): Promise<Seeds> {
  const { namespace, record, start } = tape;
  if (!record) return { objects: start.map((object) => ({ object })), hosted: [], names: [] };
  const spec = parseSpec({ ...record.spec, host: 'localhost', port, allowUntestedVersion: true }, 'on the tape');
  const here = { ...record, spec };
  const services = start.filter(({ kind }) => kind === 'Service') as Service[];
  const addresses = addressesOf(spec, services, record);
  const { bundle } = await ensureCertificates(undefined, certificateContext(namespace, spec, addresses), {
    keyType: spec.keyType,
    sealing: undefined,
  });
  const membership = settledMembership(spec.etcdMembers, record.phase === 'available');
  const storage = storageIn(start);
  const rendered = renderPlane({ record: here, spec, addresses, storage, bundle, membership });
  const names: [string, string][] = [];
  const objects = rendered.all().map((object) => {
    const recorded = start.find(({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name);
    if (!recorded) return { object, applied: object };
    const [before, now] = [hashIn(recorded), hashIn(object)];
    if (before && now) names.push([before, now]);
    const whole = merged(recorded, object) as KubeObject;
    // How many there are is not what the spec says while a plane sleeps.
    const { replicas } = (recorded as Workload).spec ?? {};
    if (replicas !== undefined) (whole as Workload).spec.replicas = replicas;
    return { object: whole, applied: object };
  });
  const known = new Set(objects.map(({ object }) => `${object.kind}/${object.metadata.name}`));
  const others = start
    .filter(({ kind, metadata }) => !known.has(`${kind}/${metadata.name}`) && kind !== 'Secret' && kind !== 'ConfigMap')
    .map((object) => ({ object: translated(object, names) }));
  const hosted = buildAddons(spec, addresses, bundle.authorities);
  return { objects: [...objects, ...others, { object: toConfigMap(here) }], hosted, names };
}

function translated(object: KubeObject, names: [string, string][]): KubeObject {
  let text = JSON.stringify(object);
  for (const [before, after] of names) text = text.replaceAll(before, after);
  return JSON.parse(text) as KubeObject;
}

function storageIn(start: KubeObject[]): Storage {
  const claim = start.find(({ kind }) => kind === 'PersistentVolumeClaim') as
    | (KubeObject & { spec: { storageClassName?: string; resources: { requests: { storage: string } } } })
    | undefined;
  if (!claim) return { kind: 'ephemeral' };
  const { storageClassName, resources } = claim.spec;
  return { kind: 'volume', size: resources.requests.storage, storageClass: storageClassName };
}
