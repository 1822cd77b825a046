import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Connection, ServerTrust } from '../kube/connection.ts';
import { proxiesOf } from '../kube/proxy.ts';
import { usableCertificates } from './pem.ts';
import type { Surroundings } from './surroundings.ts';
import { systemRoots } from './system-roots.ts';

/** Where the kubelet puts what a pod needs (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/). */
const usualFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

const folderOf = ({ serviceAccount }: Surroundings) => serviceAccount ?? usualFolder;

/** Whether this runs in a pod with a service account. */
export function isInCluster(surroundings: Surroundings): boolean {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = surroundings.env;
  const token = path.join(folderOf(surroundings), 'token');
  return Boolean(host && port) && existsSync(token) && !statSync(token).isDirectory();
}

/** The cluster in which this runs, as the pod's service account. Its token is read again within a minute: it is short-lived. */
export function inClusterConnection(surroundings: Surroundings): Connection {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port } = surroundings.env;
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    tls: trustOf(surroundings),
    credentials: { token: { file: path.join(folderOf(surroundings), 'token') } },
    proxies: proxiesOf(surroundings.env),
  };
}

function trustOf(surroundings: Surroundings): ServerTrust {
  const file = path.join(folderOf(surroundings), 'ca.crt');
  const authorities = existsSync(file) ? usableCertificates(readFileSync(file, 'utf8')) : [];
  if (authorities.length > 0) return { authorities };
  return { authorities: systemRoots(surroundings.env), authoritiesOf: 'system' };
}

/** POD_NAMESPACE, which the downward API may set, else the service account's own. */
export function namespaceInCluster(surroundings: Surroundings): string {
  if (surroundings.env.POD_NAMESPACE) return surroundings.env.POD_NAMESPACE;
  const file = path.join(folderOf(surroundings), 'namespace');
  return (existsSync(file) && readFileSync(file, 'utf8').trim()) || 'default';
}
