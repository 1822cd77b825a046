import { load, loadAll } from 'js-yaml';
import { expect, test } from 'vitest';
import logs from '../../templates/rights/logs.yaml';
import rights from '../../templates/rights/namespace-admin.yaml';
import schedule from '../../templates/rights/schedule.yaml';
import { parseSpec } from '../config/parse.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { logAccount } from '../plane/beside/log-store/log-store.ts';
import {
  infraIssuerRight,
  lifetimeRights,
  missingRights,
  requiredRights,
  rightsFor,
  scheduleRights,
} from './rights.ts';

interface Rule {
  verbs: string[];
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
}

/** An authorizer that tells `listed` and grants what `allowed` says when it is asked for one right. */
function authorizer(listed: Rule[], allowed: (attributes: Record<string, string>) => boolean = () => false) {
  const asked: Record<string, string>[] = [];
  const review = async (body: { kind: string; spec?: { resourceAttributes?: Record<string, string> } }) => {
    if (body.kind === 'SelfSubjectRulesReview') return { status: { resourceRules: listed, incomplete: true } };
    asked.push(body.spec!.resourceAttributes!);
    return { status: { allowed: allowed(body.spec!.resourceAttributes!) } };
  };
  return { cluster: { namespace: 'team', review } as unknown as InfraCluster, asked };
}

const secrets = [{ group: '', resource: 'secrets', verbs: ['get', 'delete'] }];

test('what the rules grant is not asked again', async () => {
  const { cluster, asked } = authorizer([{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]);
  expect(await missingRights(cluster, requiredRights)).toEqual({ verbs: [], none: false });
  expect(asked).toEqual([]);
});

test('what the rules leave open is asked one by one: they may be incomplete', async () => {
  const { cluster, asked } = authorizer([], () => true);
  expect((await missingRights(cluster, secrets)).verbs).toEqual([]);
  expect(asked.map(({ verb }) => verb)).toEqual(['get', 'delete']);
});

test('a rule for single objects grants nothing of the kind', async () => {
  const { cluster } = authorizer([{ apiGroups: [''], resources: ['secrets'], verbs: ['*'], resourceNames: ['mine'] }]);
  expect(await missingRights(cluster, secrets)).toEqual({ verbs: ['get, delete secrets'], none: true });
});

test('a rule of another API group grants nothing', async () => {
  const { cluster } = authorizer([{ apiGroups: ['apps'], resources: ['secrets'], verbs: ['*'] }]);
  expect((await missingRights(cluster, secrets)).none).toBe(true);
});

test('missing verbs are told by resource, and some is not none', async () => {
  const { cluster } = authorizer([{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }]);
  expect(await missingRights(cluster, secrets)).toEqual({ verbs: ['delete secrets'], none: false });
});

test('a subresource is asked as one', async () => {
  const { cluster, asked } = authorizer([]);
  await missingRights(cluster, [{ group: '', resource: 'pods/log', verbs: ['get'] }]);
  expect(asked).toEqual([{ namespace: 'team', verb: 'get', group: '', resource: 'pods', subresource: 'log' }]);
});

test('the Role that administrators apply grants everything that is asked for', async () => {
  const { rules } = load(rights) as {
    rules: Rule[];
  };
  const { cluster } = authorizer(rules);
  expect((await missingRights(cluster, [...requiredRights, ...lifetimeRights, infraIssuerRight])).verbs).toEqual([]);
});

test('the account that lets a plane sleep by the clock has what it needs, and nothing that a delegated administrator has not', async () => {
  const [, role] = loadAll(schedule) as { rules: Rule[] }[];
  expect((await missingRights(authorizer(role!.rules).cluster, scheduleRights)).verbs).toEqual([]);
  const { rules } = load(rights) as { rules: Rule[] };
  const granted = role!.rules.flatMap(({ apiGroups: [group], resources, verbs }) =>
    resources.map((resource) => ({ group: group!, resource, verbs })),
  );
  expect((await missingRights(authorizer(rules).cluster, granted)).verbs).toEqual([]);
  const deleted = granted.filter(({ verbs }) => verbs.includes('delete')).map(({ resource }) => resource);
  expect(deleted.sort()).toEqual(['pods', 'secrets', 'statefulsets']);
});

test('without an ingress of its own a plane only looks for one', () => {
  const ingresses = (expose: 'ingress' | 'nodeport', left: string[] = []) =>
    rightsFor(
      parseSpec({ host: 'k.example.com', expose }, 'a test'),
      left.map((kind) => ({ apiVersion: 'networking.k8s.io/v1', kind })),
    ).find(({ resource }) => resource === 'ingresses')?.verbs;
  expect(ingresses('nodeport')).toEqual(['get', 'list']);
  expect(ingresses('nodeport', ['Ingress'])).toEqual(['get', 'list', 'delete']);
  expect(ingresses('ingress')).toContain('create');
});

test("the log store's account may what it needs, and nothing else", async () => {
  const role = (loadAll(logs.replaceAll('${namespace}', 'team')) as { kind: string; rules?: Rule[] }[]).find(
    ({ kind }) => kind === 'Role',
  );
  const { cluster } = authorizer(role!.rules!);
  expect((await missingRights(cluster, logAccount.rights)).verbs).toEqual([]);
  const granted = role!.rules!.flatMap(({ resources, verbs }) => verbs.map((verb) => `${verb} ${resources.join()}`));
  expect(granted).toEqual(
    logAccount.rights.flatMap(({ resource, verbs }) => verbs.map((verb) => `${verb} ${resource}`)),
  );
});
