import { expect, test } from 'vitest';
import { plain } from '../base/words.ts';
import type { Authorizer } from './api-server-files.ts';
import { authorizationProblems, authorizersOf } from './authorization.ts';
import { type ClusterSpecInput, clusterSpec } from './schema.ts';

const specOf = (more: Partial<ClusterSpecInput>) => clusterSpec.parse({ host: 'k.example.com', ...more });
const problems = (more: Partial<ClusterSpecInput>) => authorizationProblems(specOf(more)).map(plain);

const node = { type: 'Node', name: 'node' };
const rbac = { type: 'RBAC', name: 'rbac' };
const webhook = (more: object = {}) => ({ type: 'Webhook', name: 'corp', webhook: { failurePolicy: 'Deny', ...more } });
const leavingOut = (expression: string) => webhook({ matchConditions: [{ expression }] });

const file = (...authorizers: Authorizer[]) => ({
  authorizationWebhook: 'secret',
  authorizationConfig: {
    apiVersion: 'apiserver.config.k8s.io/v1' as const,
    kind: 'AuthorizationConfiguration' as const,
    authorizers,
  },
});

test('Node and RBAC always decide, a webhook that was given alone comes behind them', () => {
  const types = (more: Partial<ClusterSpecInput>) => authorizersOf(specOf(more), '/x').map(({ type }) => type);
  expect(types({})).toEqual(['Node', 'RBAC']);
  expect(types({ authorizationWebhook: 'secret' })).toEqual(['Node', 'RBAC', 'Webhook']);
});

test('webhooks are asked by the kubeconfig that is there in the pod', () => {
  const mine = { connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/home/me/webhook' } };
  const [, , made] = authorizersOf(specOf(file(node, rbac, webhook(mine))), '/etc/kubernetes/pki/x.kubeconfig');
  expect(made).toMatchObject({
    webhook: { failurePolicy: 'Deny', connectionInfo: { kubeConfigFile: '/etc/kubernetes/pki/x.kubeconfig' } },
  });
});

test("a webhook before RBAC is not asked about the plane's own, once, and one behind RBAC stays as it was given", () => {
  const own = ["!request.user.startsWith('k8sk8s:')", "!('k8sk8s:kubelet-clients' in request.groups)"];
  const given = ["!request.user.startsWith('system:')", own[0]!].map((expression) => ({ expression }));
  const conditions = (more: Partial<ClusterSpecInput>) =>
    authorizersOf(specOf(more), '/x').flatMap(({ webhook: made }) =>
      made?.matchConditions?.map((each) => each.expression),
    );
  expect(conditions(file(webhook({ matchConditions: given }), node, rbac))).toEqual(
    expect.arrayContaining([given[0]!.expression, ...own]),
  );
  expect(
    conditions(file(webhook({ matchConditions: given }), node, rbac)).filter((each) => each === own[0]),
  ).toHaveLength(1);
  expect(conditions(file(node, rbac, leavingOut('true')))).toContain('true');
  expect(conditions(file(node, rbac, leavingOut('true')))).not.toContain(own[0]);
});

test.each<[string, Partial<ClusterSpecInput>, string]>([
  ['no RBAC', file(node, webhook()), 'RBAC'],
  ['no Node', file(rbac, webhook()), 'Node'],
  ['everything', file(node, rbac, { type: 'AlwaysAllow', name: 'all' }, webhook()), 'AlwaysAllow'],
  ['no kubeconfig', { ...file(node, rbac, webhook()), authorizationWebhook: undefined }, 'authorizationWebhook'],
  ['a kubeconfig for nobody', file(node, rbac), 'authorizationWebhook'],
  [
    "the pod's own account",
    file(node, rbac, webhook({ connectionInfo: { type: 'InClusterConfig' } })),
    'InClusterConfig',
  ],
  ['a webhook before RBAC', file(webhook(), node, rbac), 'corp'],
  ['one that leaves others out', file(leavingOut("!request.user.startsWith('x:')"), node, rbac), 'corp'],
  ['one that only seems to', file(leavingOut("!request.user.startsWith('system:') || true"), node, rbac), 'corp'],
])('%s is refused', (_, more, fact) => {
  expect(problems(more).join()).toContain(fact);
});

test.each(["!request.user.startsWith('system:')", ' !request.user.startsWith( "system:" )'])(
  'a webhook before RBAC with %s is allowed',
  (expression) => {
    expect(problems(file(leavingOut(expression), node, rbac))).toEqual([]);
  },
);
