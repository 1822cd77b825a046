import { setTimeout as sleep } from 'node:timers/promises';
import { factsOf, UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import { isRoutedByName } from '../../config/exposure.ts';
import { field } from '../../config/flags.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { describeConnectionError } from '../../kube/errors.ts';
import { Existing } from '../../live/apply.ts';
import { addressesBehind } from '../../live/load-balancer.ts';
import { connectAsAdministrator } from '../../live/open.ts';
import { buildExposure, exposureOf, leadsOtherwise, leadsTo } from '../../plane/exposures/table.ts';
import { belongsTo } from '../../plane/names.ts';
import { specRecorded } from '../../plane/record.ts';
import { type Availability, connectWhenAvailable, waitAvailable } from '../../rollout/available.ts';
import { removeObjects } from '../../rollout/control-plane.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { DeployState } from './state.ts';

/** Milliseconds. */
const times = {
  /** For which a controller may lead by an object that is deleted: Traefik gathers changes for two seconds. */
  forgets: 3000,
  /** Which a controller may take to lead by the new way, once nothing else leads to the plane. */
  patience: 3000,
};

/**
 * The spec by whose way a plane that runs is reached until now, where another thing is to lead to it. Pure.
 *
 * @returns undefined where that stays as it is, and of a plane that nobody reaches yet
 */
export function earlierWay({
  record,
  spec,
  asleep,
  restores,
}: Pick<DeployState, 'record' | 'spec' | 'asleep' | 'restores'>): ClusterSpec | undefined {
  if (record.phase !== 'available' || asleep || restores) return undefined;
  const before = specRecorded(record);
  return leadsOtherwise(before, spec) ? before : undefined;
}

/** What leads to the plane until `settleWay`. */
export function keptWay(state: DeployState): DeployState['keeps'] {
  const before = earlierWay(state);
  return before && before.expose !== state.spec.expose ? (object) => leadsTo(before, object) : undefined;
}

/** Says within seconds what HOST has to lead to, where a change of the way waits for that. */
export function tellerOf(state: DeployState): Availability['onWrong'] {
  const { spec, held, addresses } = state;
  const to = exposureOf(spec).leadsTo;
  if (earlierWay(state) === undefined || to === undefined || !isDialled(state)) return undefined;
  return (error) =>
    held.reporter.warn(
      `${addresses.publicServer} does not lead to the plane yet (${describeConnectionError(error)}): let ${spec.host} lead to ${to} now`,
    );
}

/** An operator in the infra cluster, which may not know public names, dials the service. */
const isDialled = ({ cluster }: DeployState) => cluster.hostedBy !== 'service';

/**
 * Takes the earlier way to the plane away, and ends when HOST answers as the plane by the new one. Both lead to the same API servers
 * with the same certificate, so who answers tells nothing as long as both are there. Where HOST does not answer without the earlier way,
 * that comes back until HOST leads elsewhere, as a load balancer stays.
 *
 * @throws UserError `host`, `wrong-host`, `address-unreachable`
 */
export async function settleWay(state: DeployState, { forgets, patience } = times): Promise<void> {
  const { spec, keptBalancer } = state;
  const before = earlierWay(state)!;
  await endWay(state, before);
  // A way inside of the infra cluster has no name that could lead elsewhere; a load balancer that stays has a step of its own.
  if (!isDialled(state) || exposureOf(spec).leadsTo === undefined || keptBalancer) return;
  await untilForgotten(state, before, forgets);
  const wrong = await problemOf(state, patience);
  if (!wrong) return;
  if (!mayBeBeside(before, spec)) throw wrong;
  await untilHostLeads(state, before, wrong);
  await endWay(state, before);
  await untilForgotten(state, before, forgets);
  await answersAnew(state);
}

/** Two kinds of objects that lead by the same names. One object that is changed in its place has no earlier state beside it. */
function mayBeBeside(before: ClusterSpec, next: ClusterSpec): boolean {
  return before.expose !== next.expose && isRoutedByName(before) && isRoutedByName(next);
}

async function endWay(state: DeployState, before: ClusterSpec): Promise<void> {
  const { cluster, record, spec } = state;
  if (before.expose === spec.expose) return;
  const existing = await Existing.read(cluster);
  const { kinds = [] } = exposureOf(before);
  const earlier = kinds
    .flatMap(({ kind }) => existing.ofKind(kind))
    .filter((object) => belongsTo(object, record.planeId) && leadsTo(before, object));
  await removeObjects(state, earlier);
}

/** By an address and port of its own the new way cannot be taken for the earlier one. */
async function untilForgotten({ spec, held }: DeployState, before: ClusterSpec, forgets: number): Promise<void> {
  if (!isRoutedByName(before) || !isRoutedByName(spec)) return;
  const { signal, reporter } = held;
  await reporter.during('Waiting until the earlier way is forgotten', () => sleep(forgets, undefined, { signal }));
}

/** Why HOST is not the plane by the new way; undefined where it is. */
async function problemOf(state: DeployState, patience: number): Promise<UserError | undefined> {
  const { cluster, spec, addresses, bundle, watch, held } = state;
  const anew = await connectAsAdministrator(cluster, addresses, bundle);
  try {
    return await held.reporter.during(
      `Asking whether ${spec.host} leads to the plane by the new way`,
      (phase) =>
        waitAvailable(anew, watch, { timeout: held.timeout, phase, signal: held.signal, grace: patience }).then(
          () => undefined,
          (error: unknown) => {
            if (error instanceof UserError && ['wrong-host', 'address-unreachable'].includes(error.anchor))
              return error;
            throw error;
          },
        ),
      (wrong) => (wrong ? `${spec.host} does not lead to the plane by the new way` : undefined),
    );
  } finally {
    await anew.close();
  }
}

/** The plane is reached by the earlier way until whoever looks after HOST has moved it. */
async function untilHostLeads(state: DeployState, before: ClusterSpec, wrong: UserError): Promise<void> {
  const { record, spec, held } = state;
  const { reporter, timeout, signal } = held;
  const { host } = spec;
  const to = exposureOf(spec).leadsTo!;
  const leads = async () => (await addressesBehind(host)).sort().join(', ');
  const led = await leads();
  await state.apply(buildExposure(record.planeId, before, record.earlierHosts));
  reporter.warn(
    words`${factsOf(wrong)}. The earlier way is back meanwhile: let ${host} lead to ${to} now, which leads to ${led || 'nothing'}`,
  );
  await reporter.during(`Waiting until ${host} leads to ${to}`, (phase) =>
    waitFor({
      until: async () => {
        const now = await leads();
        return now !== '' && now !== led;
      },
      now: () => `it leads to ${led || 'nothing'}; the plane is reached as before meanwhile`,
      phase,
      every: 1000,
      timeout,
      signal,
      late: (after) =>
        new UserError({
          what: `${host} has not come to lead to ${to} within ${after}`,
          why: words`on this machine it leads to ${led || 'nothing'}, as before; without the earlier way, ${factsOf(wrong)}`,
          fix: words`let ${host} lead there (DNS), and ${again}; or stay with the earlier ${field('expose')}`,
          anchor: 'host',
          cause: wrong,
        }),
    }),
  );
}

/** Over a connection of its own: one that is open may lead by a way that nobody is led by any more. */
export async function answersAnew({ cluster, addresses, bundle, watch, held }: DeployState): Promise<void> {
  const anew = await connectAsAdministrator(cluster, addresses, bundle);
  try {
    await connectWhenAvailable(anew, watch, held);
  } finally {
    await anew.close();
  }
}
