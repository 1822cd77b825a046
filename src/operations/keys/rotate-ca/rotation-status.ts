import type { InfraCluster } from '../../../kube/infra-cluster.ts';
import { openPlane, type Plane } from '../../../live/open.ts';
import { type AuthorityStage, authorityStageOf, trusted } from '../../../pki/authority.ts';
import { certificatesIn, inspect } from '../../../pki/inspect.ts';
import { type AuthorityName, authorityRows } from '../../../pki/table.ts';
import type { PlaneRecord, Unfinished } from '../../../plane/record.ts';

/** Every CA of a plane. */
export const rotatable = authorityRows.map(({ name }) => name);

export interface RotationStatus {
  name: AuthorityName;
  stage: AuthorityStage;
  /** Common name of the one that signs. */
  signer: string;
  /** Common names of all that are trusted, the oldest first. */
  trusted: string[];
  /** What the next run begins with; undefined where nothing is under way. */
  next?: string;
}

/** Where the CAs of the namespace's plane stand. @throws UserError `no-plane` or `plane-incomplete` */
export async function rotationStatus(cluster: InfraCluster): Promise<RotationStatus[]> {
  return statusOf(await openPlane(cluster));
}

/** Pure. */
export function statusOf({
  bundle: { authorities },
  record,
}: Pick<Plane, 'record'> & { bundle: Pick<Plane['bundle'], 'authorities'> }): RotationStatus[] {
  return rotatable.map((name) => {
    const authority = authorities[name]!;
    const stage = authorityStageOf(authority);
    const next =
      stage === 'one' && unfinishedDrops(record).length > 0 ? 'the end of its replacement' : nextSteps[stage];
    return {
      name,
      stage,
      signer: inspect(authority.certificate).commonName,
      trusted: certificatesIn(trusted(authority)).map((each) => inspect(each).commonName),
      ...(next && { next }),
    };
  });
}

const nextSteps: Record<AuthorityStage, string | undefined> = {
  one: undefined,
  added: 'the new one signs, and what the old one signed is made anew',
  held: 'when workers and clients were told: the API server shows the new one, and the old one is dropped',
  switched: 'the old one is dropped',
};

/** Who knows CAs that are dropped: `workers` have to be visited after that. */
export type KnownTo = NonNullable<Unfinished['rotate-ca']>['drops'][number];

/** Those whose last step was begun and has not come to its end. */
export function unfinishedDrops({ unfinished }: Pick<PlaneRecord, 'unfinished'>): KnownTo[] {
  return unfinished?.['rotate-ca']?.drops ?? [];
}
