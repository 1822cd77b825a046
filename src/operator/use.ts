import { messageOf } from '../base/errors.ts';
import { readUsage, wasUsed, wordOf } from '../live/usage.ts';
import { lifeAt, parseLength, timeOfUsedAnnotation } from './clock.ts';
import { type HostedControlPlane, lifeOf } from './object.ts';
import { asPlaneAccount, type ReconcileContext } from './plane-account.ts';

interface Seen {
  /** In how many milliseconds it is to be seen again; undefined: not before somebody asks. */
  next?: number;
  /** Nobody has used the plane for as long as its object allows, so it is to sleep. */
  unused?: true;
}

/** Milliseconds between two looks: a tenth of what the object allows, within these bounds. */
const [shortest, longest] = [10_000, 10 * 60_000];

/**
 * Looks whether somebody used an awake plane that is to sleep when nobody does. The status keeps what was seen, so the next operator goes
 * on from there. What cannot be seen counts neither way: such a plane stays awake.
 */
export async function lookForUse(object: HostedControlPlane, around: ReconcileContext): Promise<Seen> {
  const { sleepAfter, asleep, paused } = lifeOf(object);
  const { planeId, lastUsed, usage, sleepsAt, unusedAt } = object.status ?? {};
  const isCounted = sleepAfter !== undefined && asleep === undefined && !paused;
  if (!isCounted || !planeId || lifeAt(object, new Date()).asleep) {
    // Nobody's use was counted since: what was seen before then would put a plane to sleep that people are in.
    const isForgotten = (sleepAfter === undefined || asleep === false) && (unusedAt || lastUsed || usage);
    if (isForgotten) await around.tell([], { sleepsAt: null, unusedAt: null, lastUsed: null, usage: null });
    else if (sleepsAt) await around.tell([], { sleepsAt: null });
    return {};
  }
  const allowed = parseLength(sleepAfter);
  const next = Math.min(longest, Math.max(shortest, allowed / 10));
  const cluster = asPlaneAccount(object, around);
  try {
    const asked = await readUsage(cluster, planeId, around.signal);
    const now = Date.now();
    const last = !lastUsed || wasUsed(usage ?? undefined, asked) ? now : Date.parse(lastUsed);
    const end = Math.max(last, timeOfUsedAnnotation(object) ?? 0) + allowed;
    if (end <= now) {
      around.reporter.line(`nobody has used the plane since ${second(last)}, so it falls asleep`);
      await around.tell([], { unusedAt: second(now), sleepsAt: null });
      return { unused: true };
    }
    await around.tell([], { lastUsed: second(last), sleepsAt: second(end), usage: wordOf(asked) });
    // A moment later: times of the status have no fractions.
    return { next: Math.min(next, end - now + 1000) };
  } catch (error) {
    if (!around.signal.aborted) around.reporter.warn(`not known whether somebody uses the plane: ${messageOf(error)}`);
    return { next };
  } finally {
    await cluster.close();
  }
}

function second(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
