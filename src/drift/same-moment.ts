import type { KubeObject } from '../kube/objects.ts';

/** A controller that is in the middle of something writes an object a few times, not for ever. */
const tries = 5;

/**
 * Reads and tries again while somebody else writes in between: what they wrote would look like the work of the dry run.
 * An object that never comes to rest is taken as it was the last time.
 */
export async function untilUndisturbed<T>(
  attempt: () => Promise<T>,
  isUndisturbed: (result: T) => boolean,
): Promise<T> {
  let result = await attempt();
  for (let again = 1; again < tries && !isUndisturbed(result); again++) result = await attempt();
  return result;
}

/**
 * Whether a dry run was made on the object that was read before: its answer bears the resourceVersion that it began with.
 * Pure.
 */
export function isOfSameMoment(before: KubeObject | undefined, tried: KubeObject): boolean {
  return before === undefined || before.metadata.resourceVersion === tried.metadata.resourceVersion;
}
