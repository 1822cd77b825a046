import type { Anchor } from '../base/anchors.ts';
import { type Finding, type Severity, UserError } from '../base/errors.ts';
import type { Words } from '../base/words.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { missingRight } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Existing } from '../live/apply.ts';
import type { PlaneRecord } from '../plane/record.ts';

/** What the checks before a deploy may look at. Reads that several need are made once, when the first asks. */
export interface DeployContext {
  cluster: InfraCluster;
  spec: ClusterSpec;
  existing(): Promise<Existing>;
  record(): Promise<PlaneRecord | undefined>;
  /** For a plane that comes back from a backup: nobody chooses its spec now, and what it can do without is no reason to leave it lost. */
  restores?: true;
  /** The spec is that of the record, which whoever may write ConfigMaps in the namespace may have written. */
  asRecorded?: true;
}

/** `unknown`: the rights of a namespace do not tell; said aloud, and no reason to stop. */
export type Outcome =
  | { state: 'ok'; claim?: string }
  | { state: 'unknown'; why: Words }
  /** `anchor`: a heading in docs/checks.md that fits better than the check's own. */
  | ({ state: 'failed'; anchor?: Anchor } & Pick<Finding, 'what' | 'why' | 'fix'>);

/** A check as data: what it claims, how much it matters, how it is found out. @typeParam Context what its probe may look at */
export interface Check<Context> {
  name: string;
  /** The sentence that is true when the check passes. */
  claim(context: Context): string;
  /** Heading in docs/checks.md. */
  anchor: Anchor;
  severity: Severity;
  /** Checks, by name, without which this one only tells the same again; it is left out when one of them failed. */
  dependsOn?: string[];
  /** Left out where there is nothing to check. */
  applies?(context: Context): boolean;
  probe(context: Context): Promise<Outcome>;
}

export type DeployCheck = Check<DeployContext>;

export interface CheckResult {
  name: string;
  claim: string;
  anchor: Anchor;
  severity: Severity;
  outcome: Outcome;
}

export const ok = (claim?: string): Outcome => ({ state: 'ok', claim });

/** A UserError as the outcome of a check; anything else is a bug and goes on its way. */
export function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof UserError)) throw error;
  return { state: 'failed', what: error.what, why: error.why, fix: error.fix, anchor: error.anchor };
}

/** `you may not create pods`; undefined when `error` is no refusal of the authorizer. */
export function describeMissingRight(error: unknown): string | undefined {
  const right = missingRight(error);
  return right && `you may not ${right.verb} ${right.resource}`;
}

/** Something that several checks want to know, asked once for each run. */
export function askedOnce<T, Context extends object = DeployContext>(
  read: (context: Context) => Promise<T>,
): (context: Context) => Promise<T> {
  const answers = new WeakMap<Context, Promise<T>>();
  return (context) => {
    const answer = answers.get(context) ?? read(context);
    answers.set(context, answer);
    return answer;
  };
}
