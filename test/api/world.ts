import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { load } from 'js-yaml';
import { expect, inject, vi } from 'vitest';
import { connectHosted } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { buildKubeconfig } from '../../src/kubeconfig/build.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { connectByFile } from '../connect-by-file.ts';

export const api = inject('api');
let count = 0;

export const adminKubeconfig = path.join(api.folder, 'admin.kubeconfig');

function asAdmin(namespace: string): InfraCluster {
  return connectByFile(adminKubeconfig, namespace);
}

/** The server taken for a hosted cluster's, with its administrator. */
export async function connectAsHosted(): Promise<HostedCluster> {
  const { server, authority } = api;
  const client = await issueLeaf(authority, {
    commonName: 'admin',
    organizations: ['system:masters'],
    usages: ['clientAuth'],
  });
  return connectHosted({ server, certificateAuthority: authority.certificate, client });
}

export interface Delegate {
  name: string;
  cluster: InfraCluster;
  kubeconfig: string;
  admin: InfraCluster;
}

/** A new namespace and its delegated administrator, who has the README's rights there and none elsewhere. */
export async function newNamespace(
  options: {
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    without?: (rule: Rule) => Rule;
  } = {},
): Promise<Delegate> {
  const name = `team-${process.pid}-${++count}`;
  const admin = asAdmin(name);
  await request(admin, 'POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: options.labels, annotations: options.annotations },
  });
  const role = load(readFileSync('templates/rights/namespace-admin.yaml', 'utf8')) as KubeObject & {
    rules: Rule[];
  };
  await admin.create({ ...role, rules: role.rules.map(options.without ?? ((rule) => rule)) });
  const user = `${name}-admin`;
  await admin.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'k8sk8s' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'k8sk8s' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  } as KubeObject);
  const kubeconfig = await kubeconfigOf(user, name);
  const cluster = connectByFile(kubeconfig, name);
  await vi.waitFor(() => mayWhatRoleSays(cluster, role.rules.map(options.without ?? ((rule) => rule))), {
    timeout: 10_000,
    interval: 20,
  });
  return { name, cluster, kubeconfig, admin };
}

/** A Role and its binding count a moment after they were written, each at its own time. */
async function mayWhatRoleSays(cluster: InfraCluster, rules: Rule[]): Promise<void> {
  const review = (await request(cluster, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectRulesReview',
    spec: { namespace: cluster.namespace },
  })) as { status: { resourceRules: Rule[] } };
  const known = new Set(review.status.resourceRules.flatMap(({ resources }) => resources));
  expect([...new Set(rules.flatMap(({ resources }) => resources))].filter((one) => !known.has(one))).toEqual([]);
}

export interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

export async function kubeconfigOf(
  user: string,
  namespace: string,
  options: { days?: number; now?: Date } = {},
): Promise<string> {
  const client = await issueLeaf(api.authority, { commonName: user, usages: ['clientAuth'] }, options);
  const file = path.join(api.folder, `${user}.kubeconfig`);
  writeFileSync(
    file,
    buildKubeconfig({
      server: api.server,
      certificateAuthority: api.authority.certificate,
      clusterName: 'api',
      userName: user,
      client,
      namespace,
    }),
    { mode: 0o600 },
  );
  return file;
}

/** A raw call, for what k8sk8s itself never does. */
export async function request(
  cluster: InfraCluster,
  method: 'POST' | 'PUT' | 'DELETE' | 'GET',
  at: string,
  body?: object,
): Promise<unknown> {
  return (await cluster.transport.request({ method, path: at, body })).body;
}
