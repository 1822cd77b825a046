import type { Anchor } from '../base/anchors.ts';
import { type Words, words } from '../base/words.ts';
import { fixedNodePort } from '../config/exposure.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { unfitForPulls } from '../hosted/pull-secret.ts';
import { ApiError, explainCallError, isQuotaExceeded } from '../kube/errors.ts';
import type { KubeObject, Secret, Service } from '../kube/objects.ts';
import { refusedPod } from '../live/admission.ts';
import { apiserverService } from '../plane/addresses.ts';
import { type DeployCheck, type DeployContext, describeMissingRight, type Outcome, ok, outcomeOf } from './check.ts';
import { quotaRoom, quotaShortages, withoutNodePorts } from './quota.ts';
import { type PodTrial, runningComponents, trialPods, trialServices } from './trials.ts';

/** Checks by server-side dry run: the infra cluster judges the real objects and stores nothing. */
export const admissionChecks: DeployCheck[] = [
  {
    name: 'pods',
    claim: () => 'The pods of the control plane are admitted',
    anchor: 'pod-refused',
    severity: 'fatal',
    dependsOn: ['namespace'],
    probe: podsAdmitted,
  },
  quotaRoom,
  {
    name: 'services',
    claim: ({ spec }) =>
      fixedNodePort(spec) === undefined ? 'The services are accepted' : `Node port ${fixedNodePort(spec)} is free`,
    anchor: 'node-port',
    severity: 'fatal',
    dependsOn: ['namespace'],
    probe: servicesAccepted,
  },
];

export const pullSecret: DeployCheck = {
  name: 'pull-secret',
  claim: ({ spec }) => `Image pull secret ${spec.imagePullSecret} is there`,
  anchor: 'image-pull-secret',
  severity: 'fatal',
  dependsOn: ['namespace'],
  applies: ({ spec }) => spec.imagePullSecret !== undefined,
  async probe({ cluster, spec }) {
    const secret = await cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, spec.imagePullSecret!);
    const why = secret && unfitForPulls(secret);
    if (secret && why === undefined) return ok();
    return {
      state: 'failed',
      what: secret
        ? `no image can be pulled with secret "${spec.imagePullSecret}" of namespace "${cluster.namespace}"`
        : `there is no secret "${spec.imagePullSecret}" in namespace "${cluster.namespace}"`,
      why,
      fix: `create it: kubectl -n ${cluster.namespace} create secret docker-registry ${spec.imagePullSecret} …`,
    };
  },
};

async function podsAdmitted(context: DeployContext): Promise<Outcome> {
  const [trials, running] = await Promise.all([trialPods(context), runningComponents(context)]);
  const refused = trials.filter(
    // A running pod already uses its own share of the quota.
    ({ error, component }) => error !== undefined && !(isQuotaExceeded(error) && running.has(component)),
  );
  const lost = refused.find(({ error }) => !(error instanceof ApiError));
  if (lost) return outcomeOf(explainCallError(lost.error, 'try the pods of the plane'));
  if (refused.some(({ error }) => describeMissingRight(error) !== undefined))
    return {
      state: 'unknown',
      why: 'you may not create pods, not even for a trial; pod security and limits will show during the deploy',
    };
  const others = (await quotaTells(context)) ? refused.filter(({ error }) => !isQuotaExceeded(error)) : refused;
  if (others.length > 0) return podsRefused(context, others);
  if (refused.length > 0) return { state: 'unknown', why: 'the quota is too small to try them' };
  return leftToNobody(context.spec, trials) ?? ok();
}

interface Secured {
  spec: { securityContext?: { runAsUser?: number }; containers: { securityContext?: { runAsUser?: number } }[] };
}

/** Most images say themselves that they run as root, which the pods forbid. */
function leftToNobody(spec: ClusterSpec, trials: PodTrial[]): Outcome | undefined {
  if (spec.runAsUser !== 'platform') return undefined;
  const withoutUser = trials.filter(({ admitted }) => {
    const { securityContext, containers } = (admitted as unknown as Secured).spec;
    return securityContext?.runAsUser === undefined && containers.some((each) => !each.securityContext?.runAsUser);
  });
  if (withoutUser.length === 0) return undefined;
  return {
    state: 'unknown',
    why: words`the infra cluster admits them and gives them no user, so that their images have to name one other than root, by its number; ${field('runAsUser', 'NUMBER')} gives one`,
  };
}

/** Whether the quota check reports this already, with the sums. */
async function quotaTells(context: DeployContext): Promise<boolean> {
  return ((await quotaShortages(context)) ?? []).length > 0;
}

function podsRefused({ cluster, spec }: DeployContext, refused: PodTrial[]): Outcome {
  const byWords = new Map<string, string[]>();
  for (const { component, error } of refused) {
    const words = (error as ApiError).message
      .replace(/^[Pp]ods? "[^"]*" is (?:forbidden|invalid): /, '')
      .replaceAll(` for: ${component}`, '');
    byWords.set(words, [...(byWords.get(words) ?? []), component]);
  }
  const { message } = refused[0]!.error as ApiError;
  const names = list(refused.map(({ component }) => component));
  const { what, fix, anchor } = refusedPod(names, message, refused.length > 1);
  const messages = refused.map(({ error }) => (error as ApiError).message).join('\n');
  return {
    state: 'failed',
    what,
    why:
      byWords.size === 1
        ? [...byWords.keys()][0]
        : [...byWords].map(([words, names]) => `${list(names)}: ${words}`).join('; '),
    fix: resourcesFix(messages, cluster.namespace, spec) ?? fix,
    anchor,
  };
}

/** How to change --resources, if requests or limits are the reason of the refusal. */
function resourcesFix(messages: string, namespace: string, spec: ClusterSpec): Words | undefined {
  if (/must specify .*limits\./.test(messages))
    return words`add ${field('resources', 'limits')}, which gives every pod limits too`;
  if (/must specify/.test(messages) && spec.resources.includes('none'))
    return words`leave out ${field('resources', 'none')}, so that every pod requests cpu and memory`;
  if (
    /(minimum|maximum) (cpu|memory) usage per|must be less than or equal to (cpu|memory) limit|limit to request ratio/.test(
      messages,
    )
  )
    return words`these are bounds of the namespace's LimitRange (kubectl -n ${namespace} describe limitrange): choose ${field('resources')} within them, or ask for other bounds`;
  return undefined;
}

async function servicesAccepted(context: DeployContext): Promise<Outcome> {
  const { spec } = context;
  const trials = await trialServices(context);
  const port = fixedNodePort(spec);
  const refusal = trials.find(({ error }) => error !== undefined);
  const taken = trials.some(({ error }) => error instanceof ApiError && /already allocated/.test(error.message));
  if (taken)
    return {
      state: 'failed',
      what: `node port ${port} is already taken on the infra cluster`,
      fix: words`choose another ${field(spec.nodePort === undefined ? 'port' : 'nodePort')}, or leave it out and let the cluster choose`,
    };
  if (refusal) return refused(context, refusal.object, refusal.error, 'rejected', serviceFix(refusal.error));
  const apiserver = trials.find(({ object }) => object.metadata.name === apiserverService)!.object;
  const before = (await context.existing()).find<Service>(apiserver)?.spec.ports?.[0]?.nodePort;
  if (port !== undefined && port === before) return ok(`Node port ${port} is kept`);
  // A dry run compares the port only with the ports in use, not with the range.
  if (port !== undefined && (port < 30000 || port > 32767))
    return {
      state: 'unknown',
      why: 'it is free, but outside 30000-32767; the infra cluster accepts it only if its administrator has set another range',
    };
  return ok();
}

/** The option that a refusal of a service is about, if it is about one. */
function serviceFix(error: unknown): Words | undefined {
  const message = error instanceof ApiError ? error.message : '';
  if (/node ?ports?/i.test(message))
    return words`if the namespace may have no node ports, do without: ${withoutNodePorts}`;
  if (/ipFamilies/.test(message))
    return words`the infra cluster has no IPv4 addresses for services, and planes need them: deploy to one that has both families`;
  return undefined;
}

export async function refused(
  context: DeployContext,
  object: KubeObject,
  error: unknown,
  anchor: Anchor,
  fix: Words = 'change the option that the message names, or ask the administrator of the infra cluster about that rule',
): Promise<Outcome> {
  const right = describeMissingRight(error);
  if (right) return { state: 'unknown', why: right };
  if (!(error instanceof ApiError)) return outcomeOf(explainCallError(error, `try the ${object.kind.toLowerCase()}`));
  if (isQuotaExceeded(error) && (await quotaTells(context)))
    return { state: 'unknown', why: 'the quota is too small to try it' };
  return {
    state: 'failed',
    what: `the infra cluster refuses the ${object.kind.toLowerCase()} "${object.metadata.name}"`,
    why: error.message,
    fix,
    anchor,
  };
}

/** `a`, `a and b`, `a, b and c`. */
function list(words: string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
