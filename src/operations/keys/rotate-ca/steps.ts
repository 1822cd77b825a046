import { writeFiles } from '../../../access/files.ts';
import { workerVisit } from '../../../access/worker-config.ts';
import { command, words } from '../../../base/words.ts';
import { buildAddons } from '../../../hosted/addons/addons.ts';
import { applyAddons } from '../../../hosted/apply.ts';
import { nothingApplied } from '../../../live/apply.ts';
import { updateUnfinished } from '../../../live/record.ts';
import { addNext, authorityStageOf, dropPrevious, endHold, switchSigner } from '../../../pki/authority.ts';
import type { AuthorityName } from '../../../pki/table.ts';
import { componentNames } from '../../../plane/components/lookup.ts';
import type { Step } from '../../../rollout/steps.ts';
import { forgetDropped, untilPublished } from './published.ts';
import {
  authoritiesAt,
  authoritiesPending,
  authorityOf,
  changeAuthorities,
  inHosted,
  isOfEtcd,
  type Rotation,
  signsForWorkers,
  storeAndRollOut,
} from './rotation.ts';
import type { KnownTo } from './rotation-status.ts';
import { refuseUntold } from './untold.ts';

/**
 * The rotation of CAs, step by step. A step applies to the CAs that stand at its stage, so a run that goes on with what an
 * earlier run began passes over what is done. CAs that workers know wait before their last step for another run.
 */
export const rotationSteps: Step<Rotation>[] = [
  { name: 'new-trusted', applies: (rotation) => authoritiesAt(rotation, 'one').length > 0, run: trustNew },
  { name: 'new-signs', applies: (rotation) => authoritiesAt(rotation, 'added').length > 0, run: signByNew },
  { name: 'new-used', applies: (rotation) => authoritiesPending(rotation).length > 0, run: useNew },
  { name: 'old-dropped-by-components', applies: dropsUnknownToWorkers, run: dropByComponents },
  { name: 'old-dropped-by-workers', applies: ({ usedBefore }) => usedBefore.length > 0, run: dropByWorkers },
  {
    name: 'drop-by-workers-ended',
    applies: ({ usedBefore, ending }) => usedBefore.length === 0 && ending.includes('workers'),
    run: (rotation) => drop(rotation, [], 'workers'),
  },
  {
    name: 'workers-told',
    applies: (rotation) => rotation.usedBefore.length === 0 && signsForWorkers(rotation).length > 0,
    run: (rotation) =>
      tell(rotation, `Then run this again, which drops the old ${signsForWorkers(rotation).join(' and ')}.`),
  },
  {
    name: 'data-loss-told',
    applies: ({ plane, names }) => plane.storage.kind === 'ephemeral' && names.some(isOfEtcd),
    run: tellDataLoss,
  },
];

async function trustNew(rotation: Rotation): Promise<void> {
  const { spec, held } = rotation.plane;
  const names = authoritiesAt(rotation, 'one');
  held.reporter.line(`${names.join(', ')}: a new one is trusted beside the old one, which still signs`);
  await changeAuthorities(rotation, names, (authority) => addNext(authority, spec.keyType));
}

async function signByNew(rotation: Rotation): Promise<void> {
  const names = authoritiesAt(rotation, 'added');
  await storeAndRollOut(rotation, componentNames);
  await untilPublished(rotation);
  const { reporter } = rotation.plane.held;
  reporter.line(`${names.join(', ')}: the new one signs; what the old one signed is made anew`);
  await changeAuthorities(rotation, names, (authority, name) => switchSigner(authority, name === 'ca'));
}

async function useNew(rotation: Rotation): Promise<void> {
  const names = authoritiesPending(rotation);
  await storeAndRollOut(rotation, componentNames);
  const switched = new Date().toISOString();
  await changeAuthorities(rotation, names, (authority) => ({ ...authority, switched }));
  await storeAndRollOut(rotation, []);
}

/** CAs of which no worker knows, that have nobody to wait for. */
function unknownToWorkers(rotation: Rotation): AuthorityName[] {
  const waiting = signsForWorkers(rotation);
  return authoritiesAt(rotation, 'switched').filter((name) => !waiting.includes(name));
}

function dropsUnknownToWorkers(rotation: Rotation): boolean {
  return unknownToWorkers(rotation).length > 0 || rotation.ending.includes('components');
}

async function dropByComponents(rotation: Rotation): Promise<void> {
  await drop(rotation, unknownToWorkers(rotation), 'components');
}

/** No worker and no person uses a certificate of the old CAs any more, or the request accepts who is locked out. */
async function dropByWorkers(rotation: Rotation): Promise<void> {
  const { request, usedBefore: names, plane } = rotation;
  if (!request.force) {
    await refuseUntold(rotation, names);
    await request.agree(
      `drop the old ${names.join(' and ')}`,
      'Kubeconfigs that people copied before are refused from then on; k8sk8s cannot see who still has one.',
    );
  }
  const held = names.filter((name) => authorityStageOf(authorityOf(rotation, name)) === 'held');
  if (held.length > 0) {
    plane.held.reporter.line('the API server shows itself by the new one');
    await changeAuthorities(rotation, held, endHold);
  }
  // A run that was killed may have stored the end of the hold, while pods still show themselves by the old CA.
  await storeAndRollOut(rotation, componentNames);
  await drop(rotation, names, 'workers');
}

/**
 * What the old CAs signed is refused from here on.
 *
 * @param names none where a run that was killed has dropped them, and the rest is left
 */
async function drop(rotation: Rotation, names: AuthorityName[], knownTo: KnownTo): Promise<void> {
  const { held } = rotation.plane;
  if (names.length > 0) held.reporter.line(`${names.join(', ')}: the old one is dropped`);
  await noteDrops(rotation, (now) => [...new Set([...now, knownTo])]);
  await changeAuthorities(rotation, names, dropPrevious);
  // A new pod of etcd has its new certificate at once, so the API servers that ask it trust the new CA alone later.
  await storeAndRollOut(rotation, ['etcd']);
  await storeAndRollOut(rotation, componentNames);
  await forgetDropped(rotation);
  if (knownTo === 'workers') await tell(rotation, 'Until then they go on trusting the old one, too.');
  await noteDrops(rotation, (now) => now.filter((each) => each !== knownTo));
}

/** Notes in the record which last steps are left to be ended. */
async function noteDrops({ plane }: Rotation, next: (now: KnownTo[]) => KnownTo[]): Promise<void> {
  await updateUnfinished(plane.held, 'rotate-ca', (before) => {
    const left = next(before?.drops ?? []);
    return left.length > 0 ? { drops: left } : undefined;
  });
}

/** Gives the new CAs to the files and addons that k8sk8s wrote, and says what is left for people to do. */
async function tell(rotation: Rotation, last: string): Promise<void> {
  const { spec, addresses, bundle, held } = rotation.plane;
  const { files } = rotation.request;
  const { reporter } = held;
  await inHosted(rotation, async (hosted) => {
    await applyAddons(hosted, buildAddons(spec, addresses, bundle.authorities), nothingApplied(), held);
    await writeFiles({ ...files, renewToken: true, spec, addresses, bundle, hosted, reporter });
  });
  for (const step of workerVisit(files.dir)) reporter.line(step);
  reporter.line(last);
}

async function tellDataLoss({ plane: { held } }: Rotation): Promise<void> {
  held.reporter.warn(
    words`etcd began anew without what it held, as was allowed: run ${command('deploy', held.cluster.namespace)} now`,
  );
}
