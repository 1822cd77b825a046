import { workerVisit } from '../../../access/worker-config.ts';
import { UserError } from '../../../base/errors.ts';
import { again, joined, option, words } from '../../../base/words.ts';
import { trusted } from '../../../pki/authority.ts';
import type { AuthorityName } from '../../../pki/table.ts';
import { askKubelets, clientsWithoutCa, workersWithoutCa } from './ca-adoption.ts';
import { authorityOf, inHosted, type Rotation, switchedSince } from './rotation.ts';

/** Names of one message: the others are counted. */
const shownAtMost = 8;

/** @throws UserError `clients-untold` while a worker, a pod or a user is seen that knows the old CAs alone */
export async function refuseUntold(rotation: Rotation, names: AuthorityName[]): Promise<void> {
  const { record, held } = rotation.plane;
  const untold = await inHosted(rotation, async (hosted) => {
    const servingCas = trusted(authorityOf(rotation, 'kubelet-serving-ca'));
    const kubelets = await askKubelets(held.cluster, hosted, record.planeId, authorityOf(rotation, 'ca'), servingCas);
    const since = switchedSince(rotation, 'ca');
    return [
      ...workersWithoutCa(
        kubelets,
        names.map((name) => ({ name, since: switchedSince(rotation, name)! })),
      ),
      ...(since ? await clientsWithoutCa(hosted, since) : []),
    ];
  });
  if (untold.length === 0) return;
  const shown = joined(untold.slice(0, shownAtMost), ', ');
  throw new UserError({
    what: `the old ${names.join(' and ')} cannot be dropped yet: ${untold.length} of those who know it were not told of the new one, as far as can be seen`,
    why: words`${shown}${untold.length > shownAtMost ? ', …' : ''}`,
    fix: words`on every worker named: ${workerVisit(rotation.request.files.dir).slice(1).join(' ')} Make pods named anew (kubectl rollout restart). Then ${again}; ${option('yes')} drops it all the same, and locks them out`,
    anchor: 'clients-untold',
  });
}
