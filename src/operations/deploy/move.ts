import { workerMove } from '../../access/worker-config.ts';
import { UserError } from '../../base/errors.ts';
import { command, option, type Words, words } from '../../base/words.ts';
import { publicPort } from '../../config/exposure.ts';
import { field } from '../../config/flags.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { Node } from '../../kube/objects.ts';
import { openPlane } from '../../live/open.ts';
import { updateRecord } from '../../live/record.ts';
import { hostAndPort } from '../../plane/addresses.ts';
import { exposureOf, outlives } from '../../plane/exposures/table.ts';
import { type PlaneRecord, specRecorded } from '../../plane/record.ts';
import type { DeployState } from './state.ts';

/** A change of the address at which workers and people dial the plane. */
export interface Move {
  before: string;
  after: string;
  /** Earlier names at which the plane keeps answering. */
  keeps: string[];
  /** The plane cannot answer at the old address any more, whatever leads there. */
  ends: boolean;
  /** What HOST has to lead to from now on, where that is another thing than before. */
  leadsTo?: string;
}

/**
 * What a change of the spec means for clients that dial the plane now. Pure.
 *
 * @returns undefined when the address stays
 */
export function moveOf(before: ClusterSpec, after: ClusterSpec): Move | undefined {
  const [old, next] = [dialled(before), dialled(after)];
  const names = namesIn(after);
  const keeps = namesIn(before).filter((name) => !names.includes(name));
  const ends =
    before.expose !== after.expose
      ? !outlives(before, after)
      : after.expose === 'nodeport' && portOf(before) !== portOf(after);
  // Another way to the same address: the name has to lead to something else, as a rule.
  const otherWay = before.expose !== after.expose && exposureOf(before).leadsTo !== exposureOf(after).leadsTo;
  if (old === next && keeps.length === 0 && !otherWay) return undefined;
  return { before: old, after: next, keeps, ends, leadsTo: otherWay ? exposureOf(after).leadsTo : undefined };
}

function dialled(spec: ClusterSpec): string {
  const ofWorkers =
    spec.workerEndpoint ?? (spec.inCluster === 'clusterip' ? 'the cluster IP of the service apiserver' : '');
  return [`https://${spec.host}:${portOf(spec)}`, ...(ofWorkers ? [ofWorkers] : [])].join(' and ');
}

/** A node port that nobody chose stays as the infra cluster gave it. */
const portOf = (spec: ClusterSpec) => publicPort(spec) ?? 'its node port';

function namesIn({ host, moreHosts, workerEndpoint }: ClusterSpec): string[] {
  return [host, ...moreHosts, ...(workerEndpoint ? [hostAndPort(workerEndpoint).host] : [])];
}

type KeptHosts = Pick<PlaneRecord, 'earlierHosts' | 'unexposedHosts'>;

/**
 * The move that a deploy of `spec` over a recorded plane makes, and the names that the record keeps. @throws UserError
 * `bad-values`
 */
export function moveOver(
  record: Pick<PlaneRecord, 'spec'> & KeptHosts,
  spec: ClusterSpec,
): { move?: Move } & KeptHosts {
  const before = specRecorded(record);
  const move = moveOf(before, spec);
  const { earlierHosts = [], unexposedHosts = [] } = record;
  const kept = [...new Set([...(move?.keeps ?? []), ...earlierHosts])];
  // One of them that is HOST now is refused by the rules of the spec.
  if (spec.tunnelHost !== undefined && kept.includes(spec.tunnelHost))
    throw new UserError({
      what: words`${field('tunnelHost', spec.tunnelHost)} is an earlier name of the API server, at which the plane keeps answering`,
      why: 'one name leads either to the API server or to the tunnels',
      fix: words`give the tunnel a name of its own; or end the earlier name first, when nobody dials it any more: ${command('host drop', undefined, spec.tunnelHost)}`,
      anchor: 'bad-values',
      kind: 'usage',
    });
  if (!move || move.keeps.length === 0)
    return { move, earlierHosts: record.earlierHosts, unexposedHosts: record.unexposedHosts };
  // A name in workerEndpoint may be anybody's: whose HOST is whose, is asked of host and moreHosts.
  const exposed = [before.host, ...before.moreHosts, ...earlierHosts.filter((host) => !unexposedHosts.includes(host))];
  const unexposed = kept.filter((host) => !exposed.includes(host));
  return { move, earlierHosts: kept, unexposedHosts: unexposed.length > 0 ? unexposed : undefined };
}

/**
 * Announces a change of the address that workers and people dial, and allows it with consent. The record gets the old name
 * first, so that no later step removes it.
 *
 * @throws UserError `address-moves`
 */
export async function announceMove(state: DeployState): Promise<void> {
  const { record, spec, held, allowDataLoss } = state;
  const { move, ...hosts } = moveOver(record, spec);
  if (!move) return;
  const workers = await workersOf(state);
  const told = announcement(move, hosts, workers, held.cluster.namespace, state.files?.dir ?? 'tls');
  if (!allowDataLoss)
    throw new UserError({
      what:
        move.before === move.after
          ? `workers and people dial the plane at ${move.before}, which would be reached in another way`
          : `workers and people dial the plane at ${move.before}, and would have to dial ${move.after}`,
      why: told,
      fix: words`add ${option('yes')} to make the change; or leave those options as they were. Nothing was changed`,
      anchor: 'address-moves',
      kind: 'refused',
    });
  state.moved = true;
  const how =
    move.before === move.after
      ? `is reached in another way at ${move.after}`
      : `moves from ${move.before} to ${move.after}`;
  held.reporter.warn(words`the plane ${how}: ${told}`);
  if (move.keeps.length === 0) return;
  Object.assign(record, hosts);
  await updateRecord(held, (now) => ({ ...now, ...hosts }));
}

function announcement(
  move: Move,
  { unexposedHosts = [] }: KeptHosts,
  workers: string[] | undefined,
  namespace: string,
  dir: string,
): Words {
  const who =
    workers === undefined
      ? 'workers, which cannot be listed at the moment'
      : workers.join(', ') || 'no worker that has joined';
  const leads = move.leadsTo === undefined ? '' : `Every name of the plane has to lead to ${move.leadsTo} now. `;
  const then = words`${leads}It is dialled by ${who}, and by every kubeconfig that was handed out. A worker gets the new address so: ${workerMove(dir).slice(1).join(' ')}`;
  const [first] = move.keeps;
  const keeps = move.keeps.join(', ');
  if (move.ends) return words`the old address ends with this change. ${then}`;
  if (first === undefined)
    return words`k8sk8s changes nothing at the old address: whether it keeps leading to the plane depends on what listens there. ${then}`;
  const inExposure = move.keeps.filter((name) => !unexposedHosts.includes(name)).join(', ');
  const place = inExposure === '' ? 'in the certificate' : `in the certificate and in what exposes the plane`;
  const which = inExposure === '' || inExposure === keeps ? place : `${place} (there ${inExposure} alone)`;
  return words`${keeps} keeps working, ${which}, as long as that name leads here. ${then} ${command('status', namespace)} shows who still dials ${keeps}; ${command('host drop', namespace, first)} ends it`;
}

/** Names of the Nodes; undefined when they cannot be asked for. */
export async function workersOf({ cluster }: DeployState): Promise<string[] | undefined> {
  try {
    const hosted = await (await openPlane(cluster)).connect();
    try {
      const { items } = await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' });
      return items.map(({ metadata }) => metadata.name);
    } finally {
      await hosted.close();
    }
  } catch {
    return undefined;
  }
}
