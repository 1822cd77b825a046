import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { Secret } from '../kube/objects.ts';
import { readKubeconfig } from '../kubeconfig/read.ts';
import type { Plane } from '../live/open.ts';
import { trusted } from '../pki/authority.ts';
import { workerPodsName } from '../plane/beside/worker-pods/worker-pods.ts';
import { labelsOf } from '../plane/names.ts';
import { createBootstrapToken, listBootstrapTokens, newToken, revokeBootstrapToken } from './bootstrap-token.ts';
import { workerKubeconfig } from './files.ts';
import { workerScript } from './worker-script.ts';

/**
 * Lifetime of the token in milliseconds: as long as that of the plane's certificates, since a pod that moves to another infra node
 * joins anew, at any time.
 */
const lifetime = 365 * 24 * 3600 * 1000;

const file = 'kubeconfig-kubelets';

/**
 * The Secret that worker pods mount in place of the files that a person would upload to a machine.
 *
 * @param before the one that is there, whose token is kept while it has half of its life
 */
export async function workerPodSecret(
  plane: JoinedPlane,
  hosted: HostedCluster,
  before: Secret | undefined,
): Promise<Secret> {
  return secretWith(plane, (await keptToken(hosted, before)) ?? (await createToken(hosted)));
}

/**
 * The same while no hosted API answers yet, which has to learn the token by admitFirstToken. Pure but for chance.
 *
 * @param before the one that an earlier run has left, which pods may have read
 */
export function firstWorkerPodSecret(plane: JoinedPlane, before: Secret | undefined): Secret {
  return secretWith(plane, tokenIn(before) ?? newToken());
}

/** Makes the token of firstWorkerPodSecret valid. */
export async function admitFirstToken(hosted: HostedCluster, secret: Secret | undefined): Promise<void> {
  const token = tokenIn(secret);
  if (token === undefined) return;
  const known = (await listBootstrapTokens(hosted)).some((each) => each.token === token);
  if (!known) await createToken(hosted, token);
}

type JoinedPlane = Pick<Plane, 'record' | 'spec' | 'addresses' | 'bundle'>;

function secretWith({ record, spec, addresses, bundle }: JoinedPlane, token: string): Secret {
  const authority = trusted(bundle.authorities.ca!);
  const files = {
    [file]: workerKubeconfig(spec, addresses, authority, token),
    'ca.pem': authority,
    'worker.sh': workerScript(spec, addresses),
  };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: workerPodsName, labels: labelsOf(record.planeId, workerPodsName, spec.kubernetesVersion) },
    type: 'Opaque',
    data: Object.fromEntries(
      Object.entries(files).map(([name, text]) => [name, Buffer.from(text, 'utf8').toString('base64')]),
    ),
  };
}

async function createToken(hosted: HostedCluster, token?: string): Promise<string> {
  return (await createBootstrapToken(hosted, lifetime, 'of the worker pods, made by k8sk8s', token)).token;
}

async function keptToken(hosted: HostedCluster, secret: Secret | undefined): Promise<string | undefined> {
  const token = tokenIn(secret);
  if (token === undefined) return undefined;
  const found = (await listBootstrapTokens(hosted)).find((each) => each.token === token);
  const until = found?.expires?.getTime() ?? (found ? Infinity : 0);
  return until - Date.now() > lifetime / 2 ? token : undefined;
}

/** For when there are no worker pods any more. */
export async function revokeWorkerPodToken(hosted: HostedCluster, secret: Secret | undefined): Promise<void> {
  const token = tokenIn(secret);
  if (token !== undefined) await revokeBootstrapToken(hosted, token.split('.')[0]!);
}

function tokenIn(secret: Secret | undefined): string | undefined {
  const data = secret?.data?.[file];
  if (data === undefined) return undefined;
  return readKubeconfig(Buffer.from(data, 'base64').toString('utf8'), file).token;
}
