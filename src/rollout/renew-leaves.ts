import type { InfraCluster } from '../kube/infra-cluster.ts';
import { Existing, nothingApplied } from '../live/apply.ts';
import type { Plane } from '../live/open.ts';
import { sealingOf } from '../live/sealed-ca.ts';
import { ensureCertificates, type PkiBundle } from '../pki/certificates.ts';
import { inspect } from '../pki/inspect.ts';
import { certificateContext, renderPlane } from '../plane/render.ts';
import { isStartFiles } from '../plane/start-files.ts';
import type { Reporter } from '../ui/reporter.ts';
import { applySecrets } from './roll-out.ts';

/**
 * Makes leaves anew and stores them.
 *
 * @param names of leaves; those near their end alone when left out
 */
export async function renewLeaves(
  cluster: InfraCluster,
  plane: Plane,
  reporter: Reporter,
  names?: string[],
): Promise<{ bundle: PkiBundle; issued: string[] }> {
  const { spec } = plane;
  const context = certificateContext(cluster.namespace, spec, plane.addresses);
  const { bundle, issued } = await ensureCertificates(plane.bundle, context, {
    keyType: spec.keyType,
    renew: names,
    sealing: sealingOf(spec, cluster),
  });
  if (issued.length === 0) return { bundle, issued };
  const secrets = renderPlane({ ...plane, bundle }).secrets.filter((secret) => !isStartFiles(secret));
  await applySecrets(cluster, plane.record.planeId, secrets, await Existing.read(cluster), nothingApplied(), reporter);
  for (const name of issued)
    reporter.line(`certificate ${name} renewed until ${day(inspect(issuedAs(bundle, name)).notAfter)}`);
  return { bundle, issued };
}

/** Who has the sealed key of the CA renews what signs in its place, too. */
function issuedAs({ authorities, leaves }: PkiBundle, name: string): string {
  return (name === 'ca-signer' ? authorities.ca!.signer! : leaves[name]!).certificate;
}

/** `2027-03-01`. */
export function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
