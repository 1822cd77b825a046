import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { load } from 'js-yaml';
import { inject } from 'vitest';
import { connectHosted } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { buildKubeconfig } from '../../src/kubeconfig/build.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { connectByFile } from '../connect-by-file.ts';
import { bind, type Rule } from './rights.ts';

export const api = inject('api');
let count = 0;

export const adminKubeconfig = path.join(api.folder, 'admin.kubeconfig');

/**
 * Of the band from which an API server gives out no port by chance (30000 to 30085), so that no Service of another test has one. The
 * golden files have one more.
 */
export const nodePorts = { taken: 30001, own: 30002, free: 30003, first: 30004, second: 30005 };

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
    /** Of each rule that the README gives, what this one has. */
    without?: (rule: Rule) => Rule | Rule[];
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
  await admin.create({ ...role, rules: role.rules.flatMap(options.without ?? ((rule) => rule)) });
  const user = `${name}-admin`;
  await bind(admin, { kind: 'Role', name: 'k8sk8s' }, { kind: 'User', name: user });
  const kubeconfig = await kubeconfigOf(user, name);
  return { name, cluster: connectByFile(kubeconfig, name), kubeconfig, admin };
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
