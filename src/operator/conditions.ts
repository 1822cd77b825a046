import { type Finding, messageOf, UserError } from '../base/errors.ts';
import { type CommandPart, command, hasParts, option, spoken, type Words, words } from '../base/words.ts';
import { ApiError, ConnectionError } from '../kube/errors.ts';
import { inTerminal } from '../ui/words.ts';
import { consentAnnotation } from './names.ts';
import { type Condition, consentAsked, type HostedControlPlane, type Status } from './object.ts';

/** A condition before it is known since when it holds. */
export type Fact = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** The status with what is now known; a condition that holds as before keeps its time. Pure. */
export function statusWith(
  object: HostedControlPlane,
  facts: Fact[],
  fields: Partial<Status>,
  now = new Date(),
): Status {
  const { generation } = object.metadata;
  const before = object.status?.conditions ?? [];
  const time = now.toISOString().replace(/\.\d+Z$/, 'Z');
  const changed = facts.map((fact): Condition => {
    const old = before.find(({ type }) => type === fact.type);
    const since = old?.status === fact.status ? old.lastTransitionTime : time;
    return { ...fact, observedGeneration: generation, lastTransitionTime: since };
  });
  const others = before.filter(({ type }) => !facts.some((fact) => fact.type === type));
  return {
    ...object.status,
    ...fields,
    conditions: [...others, ...changed].sort((a, b) => a.type.localeCompare(b.type)),
  };
}

/** `change-refused` as `ChangeRefused`: a reason has no dashes. */
export function reasonOf(anchor: string): string {
  return anchor.replace(/(^|-)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase());
}

/** What a condition has of a finding. */
type Said = Pick<Finding, 'what' | 'why' | 'fix' | 'anchor'>;

/**
 * A finding for who reads it in the object: fields of the spec by their names there, and what the operator does by itself in
 * place of commands. What a hosted API has answered is left out, since its tenant writes it and others read it.
 */
function inCondition(finding: Said, object: HostedControlPlane, hosted: boolean): string {
  const say = (words: Words) => sentence(words, object);
  const facts = [say(finding.what), ...(finding.why && !hosted ? [say(finding.why).trim()] : [])].join(': ');
  return [`${facts}.`, ...(finding.fix ? [`To do: ${say(finding.fix)}.`] : []), `See docs/checks.md#${finding.anchor}`]
    .join(' ')
    .slice(0, 32_000);
}

function sentence(words: Words, object: HostedControlPlane): string {
  return spoken(words, (part) => {
    if ('again' in part) return 'the operator does the same again';
    if ('command' in part) {
      const own = needsPerson(part) ? undefined : byItself[part.command];
      return own ?? inTerminal([{ ...part, namespace: part.namespace ?? object.metadata.namespace }]);
    }
    if ('option' in part && part.option === 'yes') return `annotation ${consentAnnotation}: "${consentAsked(object)}"`;
    const [name, value] = 'field' in part ? [`spec.${part.field}`, part.value] : [part.option, part.value];
    return value === undefined ? name : `${name}: ${typeof value === 'object' ? `spec.${value.field}` : value}`;
  });
}

/** What opens a sealed key is with a person alone. */
const needsPerson = ({ args }: CommandPart) =>
  args.some((each) => typeof each === 'object' && 'option' in each && each.option === 'sealFile');

/** Commands whose work the operator does. */
const byItself: Record<string, string> = {
  deploy: 'the next try of the operator',
  sleep: 'spec.asleep: true',
  wake: 'spec.asleep: false',
  upgrade: 'spec.kubernetesVersion',
  destroy: 'deleting the HostedControlPlane',
};

/** Whether a failure goes back to what a hosted cluster answered. */
function isOfHosted(error: unknown): boolean {
  if ((error instanceof ApiError || error instanceof ConnectionError) && error.of === 'hosted') return true;
  return error instanceof Error && error.cause !== undefined && isOfHosted(error.cause);
}

/** Anchors of changes that did not work: the plane is as it was before, or as near to it as could be. */
const undone = ['change-undone', 'upgrade-rolled-back', 'rollback-failed'];

/** Whether an error says that the change was taken back. To try it again by itself would disturb the plane again. */
export function isUndone(error: unknown): boolean {
  return error instanceof UserError && undone.includes(error.anchor);
}

/** Whether nothing was changed, and the same would be said again before the spec, or a consent, is another. */
export function isRefused(error: unknown): boolean {
  return error instanceof UserError && (['change-refused', 'bad-values'].includes(error.anchor) || asksConsent(error));
}

/** Whether an error is a question: what the command line asks --yes for. */
function asksConsent({ kind, fix }: UserError): boolean {
  return kind === 'refused' && hasParts(fix) && fix.some((part) => typeof part === 'object' && isYes(part));
}

const isYes = (part: object) => 'option' in part && part.option === 'yes';

/**
 * What a failure means for the conditions. Progressing is False where another spec, other surroundings or a consent help; else the
 * next try may. A plane of which a change waits for a consent is not Degraded by that.
 */
export function factsOfFailure(error: unknown, object: HostedControlPlane, available: boolean): Fact[] {
  const known = error instanceof UserError ? error : undefined;
  const reason = known ? reasonOf(known.anchor) : 'InternalError';
  const message = known
    ? inCondition(known.anchor === 'seal-file' ? withoutKey(known, object) : known, object, isOfHosted(error))
    : `this is a bug of k8sk8s: ${messageOf(error)}`;
  const waits =
    known !== undefined && (known.kind !== 'failed' || known.anchor === 'change-refused' || isUndone(known));
  const progressing: Fact = { type: 'Progressing', status: waits ? 'False' : 'True', reason, message };
  if (known && asksConsent(known))
    return [
      availability(available, 'NotAvailable', notAnswering),
      available ? asExpected : { type: 'Degraded', status: 'True', reason: 'NotAvailable', message: notAnswering },
      progressing,
    ];
  return [availability(available, reason, message), { type: 'Degraded', status: 'True', reason, message }, progressing];
}

/** What needs the sealed key of a CA, said to who reads the object. */
function withoutKey({ what, anchor }: UserError, { metadata: { namespace } }: HostedControlPlane): Said {
  const byHand = command('deploy', namespace, option('sealFile', 'FILE'));
  return {
    what,
    why: 'the operator has no key that opens it, and stores none',
    fix: words`take the plane from the operator with ${command('release', namespace)}, if there is one, run ${byHand}, and let it follow this object with ${command('adopt', namespace)}`,
    anchor,
  };
}

/** A certificate that ends soon, and that nobody without the sealed key of its CA makes anew. Pure. @param ofAuthority whether it is that CA, or another one */
function untilKey(
  { what, anchor }: Finding,
  { metadata: { namespace } }: HostedControlPlane,
  ofAuthority: boolean,
): Said {
  const renewal = command(ofAuthority ? 'certs rotate-ca' : 'certs renew', namespace, option('sealFile', 'FILE'));
  return {
    what,
    why: "the key of the plane's CA is sealed; the operator has nothing that opens it, and stores no such thing",
    fix: words`whoever has it runs ${renewal}, which the operator waits for`,
    anchor,
  };
}

const notAnswering = 'the hosted API server does not answer. See docs/checks.md#not-available';

const asExpected: Fact = {
  type: 'Degraded',
  status: 'False',
  reason: 'AsExpected',
  message: 'nothing is known to be wrong',
};

/** The hosted API was found not to answer, before anything was done about it. */
export const factOfSilence = (): Fact => availability(false, 'NotAvailable', notAnswering);

function availability(answers: boolean, reason: string, message: string): Fact {
  return answers
    ? { type: 'Available', status: 'True', reason: 'Answers', message: 'the hosted API server answers' }
    : { type: 'Available', status: 'False', reason, message };
}

/** The plane is as its object wants it. @param ending what will not stay so */
export const factsOfSuccess = (asleep: boolean, ending?: Fact): Fact[] => [
  asleep
    ? {
        type: 'Available',
        status: 'False',
        reason: 'Asleep',
        message: 'the plane sleeps, as spec.asleep, spec.sleepSchedule or spec.sleepAfter says',
      }
    : availability(true, '', ''),
  ending ?? asExpected,
  {
    type: 'Progressing',
    status: 'False',
    reason: asleep ? 'Asleep' : 'UpToDate',
    message: 'the plane is as this object wants it',
  },
];

/** The plane runs, and has a certificate that only a person can renew: by the sealed key, or in the steps of a new CA. */
export function factOfEnding(
  finding: Finding,
  object: HostedControlPlane,
  { sealed, ofAuthority }: { sealed: boolean; ofAuthority: boolean },
): Fact {
  return factOfProblem(sealed ? untilKey(finding, object, ofAuthority) : finding, object);
}

/** The plane runs, and something beside it is wrong. */
export function factOfProblem(finding: Said, object: HostedControlPlane): Fact {
  const message = inCondition(finding, object, false);
  return { type: 'Degraded', status: 'True', reason: reasonOf(finding.anchor), message };
}

/** @param until when the plane is deleted without a backup */
export function factsOfLastBackup(error: unknown, object: HostedControlPlane, until: Date): Fact[] {
  const { namespace } = object.metadata;
  const why =
    error instanceof UserError ? inCondition(error, object, false) : `this is a bug of k8sk8s: ${messageOf(error)}`;
  const at = until.toISOString().replace(/\.\d+Z$/, 'Z');
  const message = `the last backup could not be made, and is tried again; the plane is deleted without one at ${at}. At once: kubectl -n ${namespace} patch hcp k8sk8s --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]'. ${why}`;
  return [
    { type: 'Degraded', status: 'True', reason: 'LastBackup', message },
    { type: 'Progressing', status: 'True', reason: 'LastBackup', message },
  ];
}

/** There is no plane any more. */
export function factsOfEnd(): Fact[] {
  const message =
    'the plane was deleted at spec.expiresAt. To do: delete this object, or take the time out for a new plane';
  return [
    { type: 'Available', status: 'False', reason: 'Expired', message },
    asExpected,
    { type: 'Progressing', status: 'False', reason: 'Expired', message },
  ];
}

/** The plane sleeps, and its object wants more of it than that. @param wrong what is wrong besides */
export const factsOfWaitingAsleep = (wrong?: Fact): Fact[] => [
  ...factsOfSuccess(true, wrong).filter(({ type }) => type !== 'Progressing'),
  {
    type: 'Progressing',
    status: 'False',
    reason: 'ChangesWhenAwake',
    message: 'the plane sleeps: what this object wants of it besides is made when it wakes',
  },
];

/** The plane runs as it did before a change that did not work. What Degraded says of that change stays. */
export function factsOfUndone({ status }: HostedControlPlane): Fact[] {
  const told = status?.conditions?.find(({ type }) => type === 'Degraded');
  const reasons = undone.map(reasonOf);
  const answers = availability(true, '', '');
  if (told?.status === 'True' && reasons.includes(told.reason)) {
    const { type, status, reason, message } = told;
    // What was wrong besides may be right by now.
    return [answers, { type, status, reason, message: message.split(besidesThat)[0]! }];
  }
  const message =
    'what this object asks for did not work on this plane, which runs as before. To do: change the spec. See docs/checks.md#change-undone';
  return [answers, { type: 'Degraded', status: 'True', reason: 'ChangeUndone', message }];
}

/** Between the messages of two problems. */
const besidesThat = ' Besides: ';

/** With what is wrong beside what the facts say, where something is. Pure. */
export function besides(facts: Fact[], problem: Fact | undefined): Fact[] {
  if (!problem) return facts;
  const joined = (fact: Fact) => ({ ...fact, message: [fact.message, problem.message].join(besidesThat) });
  return facts.map((fact) => (fact.type !== 'Degraded' ? fact : fact.status === 'True' ? joined(fact) : problem));
}

/** Something is being done. */
export const factOfProgress = (reason: string, message: string): Fact => ({
  type: 'Progressing',
  status: 'True',
  reason,
  message,
});

/** The plane is left alone. @param problem why deletionPolicy is not followed yet, where that is so */
export const factOfPause = (problem?: string): Fact => ({
  type: 'Progressing',
  status: problem === undefined ? 'False' : 'True',
  reason: 'Paused',
  message: `spec.paused is true: of this object, the operator follows deletionPolicy alone${problem === undefined ? '' : `, and not yet: ${problem}`}`,
});
