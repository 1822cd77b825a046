import { type Words, words } from '../base/words.ts';
import type { Authorizer } from './api-server-files.ts';
import { field } from './flags.ts';
import type { ClusterSpec } from './schema.ts';

/*
 * Who is asked whether a request may pass (docs/identity.md): Node and RBAC always, and webhooks of the person.
 */

type AuthorizationSpec = Pick<ClusterSpec, 'authorizationConfig' | 'authorizationWebhook'>;

const own: Authorizer[] = [
  { type: 'Node', name: 'node' },
  { type: 'RBAC', name: 'rbac' },
];

/** What a webhook is asked by, where nobody chose: it adds to RBAC, and its absence takes nothing away. */
const behindRbac: Authorizer = {
  type: 'Webhook',
  name: 'webhook',
  webhook: {
    timeout: '3s',
    authorizedTTL: '5m',
    unauthorizedTTL: '30s',
    subjectAccessReviewVersion: 'v1',
    failurePolicy: 'NoOpinion',
  },
};

/**
 * By these conditions a webhook before RBAC is not asked about the gate, and about the API server where kubelets ask who may come in:
 * without them its absence would cut the API server off from the workers.
 */
const leavesOutPlane = [
  { expression: "!request.user.startsWith('k8sk8s:')" },
  { expression: "!('k8sk8s:kubelet-clients' in request.groups)" },
];

/**
 * All of them, in order. Pure.
 *
 * @param kubeconfig where the API server finds the file by which webhooks are asked
 */
export function authorizersOf(spec: AuthorizationSpec, kubeconfig: string): Authorizer[] {
  const list = spec.authorizationConfig?.authorizers ?? (spec.authorizationWebhook ? [...own, behindRbac] : own);
  const connectionInfo = { type: 'KubeConfigFile', kubeConfigFile: kubeconfig };
  const before = webhooksBeforeRbac(spec);
  return list.map((each) => {
    if (!each.webhook) return each;
    const { matchConditions = [] } = each.webhook;
    // One that stands there twice is refused.
    const more = leavesOutPlane.filter(
      ({ expression }) => !matchConditions.some((has) => has.expression.trim() === expression),
    );
    return {
      ...each,
      webhook: {
        ...each.webhook,
        ...(before.includes(each) && { matchConditions: [...matchConditions, ...more] }),
        connectionInfo,
      },
    };
  });
}

/** The condition that keeps Kubernetes itself, its nodes and ServiceAccounts away from a webhook, whatever its quotes and spaces. */
const leavesOutSystem = /^!\s*request\.user\.startsWith\(\s*(['"])system:\1\s*\)$/;

/** Webhooks that are asked before RBAC. Pure. */
export function webhooksBeforeRbac({ authorizationConfig }: AuthorizationSpec): Authorizer[] {
  const { authorizers = [] } = authorizationConfig ?? {};
  const rbac = authorizers.findIndex(({ type }) => type === 'RBAC');
  return authorizers.filter(({ type }, at) => type === 'Webhook' && at < rbac);
}

/** What is wrong with them, a sentence each. Pure. */
export function authorizationProblems(spec: ClusterSpec): Words[] {
  const { authorizationConfig: config, authorizationWebhook: webhook } = spec;
  if (!config) return [];
  const file = field('authorizationConfig');
  const problems: Words[] = [];
  for (const { type } of own)
    if (!config.authorizers.some((each) => each.type === type))
      problems.push(words`${file} has no authorizer of type ${type}, without which the hosted cluster does not work`);
  for (const { type, name } of config.authorizers)
    if (!['Node', 'RBAC', 'Webhook'].includes(type))
      problems.push(words`${file} has authorizer "${name}" of type ${type}: there are Node, RBAC and Webhook here`);
  const webhooks = config.authorizers.filter(({ type }) => type === 'Webhook');
  if (webhooks.length > 0 && webhook === undefined)
    problems.push(
      words`${file} has a webhook, and no kubeconfig says how it is asked: add ${field('authorizationWebhook')}`,
    );
  if (webhooks.length === 0 && webhook !== undefined)
    problems.push(words`${field('authorizationWebhook')} has no use with a ${file} that has no webhook`);
  for (const { name, webhook: asked } of webhooks)
    if (asked?.connectionInfo !== undefined && asked.connectionInfo.type !== 'KubeConfigFile')
      problems.push(
        words`${file} has webhook "${name}" with connectionInfo of type ${asked.connectionInfo.type}: leave it out`,
      );
  for (const { name, webhook: asked } of webhooksBeforeRbac(spec))
    if (!asked?.matchConditions?.some(({ expression }) => leavesOutSystem.test(expression.trim())))
      problems.push(
        words`${file} has webhook "${name}" before RBAC, where it could stop the hosted cluster's own components, nodes and ServiceAccounts: put it behind RBAC, or give it the matchCondition !request.user.startsWith('system:')`,
      );
  return problems;
}
