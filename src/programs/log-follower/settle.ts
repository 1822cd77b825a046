import { fixedTime } from '../../base/fixed-time.ts';
import type { Position, Positions } from './positions.ts';
import type { Store } from './store.ts';

/** Milliseconds before the last lines: what a store took since, it may have lost when it was killed. */
const unsure = 15_000;

/**
 * Puts the positions where the store is. A store that was killed, or a volume that another follower wrote to, may lack the last lines that
 * it took; one that gave no answer may have more than was noted.
 *
 * @param unanswered the store may have lines of which it did not say so
 */
export async function settleWithStore(positions: Positions, store: Store, unanswered: boolean): Promise<void> {
  const isDoubtful = ({ at = 0 }: Position) => at >= positions.taken - unsure;
  const asked = positions.all().filter(([, each]) => each.time !== undefined && (unanswered || isDoubtful(each)));
  if (asked.length === 0) return;
  const pods = [...new Set(asked.map(([, { pod }]) => JSON.stringify(pod)))].join(', ');
  const answer = await store.query(`type:!=loss pod:in(${pods}) | stats by (pod, container) max(_time) as last`);
  for (const [key, position] of asked) {
    const { pod, container, time = '', same = 1 } = position;
    const last = answer.find((each) => each.pod === pod && each.container === container)?.last;
    const has = last === undefined ? '' : fixedTime(last);
    const isOther = has === time ? same > 1 : has > time ? unanswered : isDoubtful(position);
    if (!isOther) continue;
    const lines = has === '' ? undefined : await linesAt(store, position, has);
    if (has === time && lines === same) continue;
    positions.set(key, { ...position, time: has || undefined, same: lines, ended: false });
  }
}

/** How many lines of a container's log have exactly this time. */
async function linesAt(store: Store, { pod, container }: Position, time: string): Promise<number> {
  const [of, from] = [JSON.stringify(container), JSON.stringify(pod)];
  const [answer] = await store.query(
    `_time:[${time}, ${time}] type:!=loss pod:=${from} container:=${of} | stats count() as lines`,
  );
  return Math.max(1, Number(answer?.lines ?? 1));
}
