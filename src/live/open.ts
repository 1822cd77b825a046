import type { Duplex } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { connectHosted } from '../kube/connect.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Secret, Service } from '../kube/objects.ts';
import { trusted } from '../pki/authority.ts';
import { administrator, type PkiBundle } from '../pki/certificates.ts';
import type { Credential } from '../pki/issue.ts';
import { type Addresses, addressesOf } from '../plane/addresses.ts';
import { belongsTo } from '../plane/names.ts';
import { type PlaneRecord, specRecorded } from '../plane/record.ts';
import type { PlaneSource } from '../plane/render.ts';
import { Existing } from './apply.ts';
import { presentStorage } from './choose-storage.ts';
import { forwardToApi } from './forward-to-api.ts';
import { requireRecord } from './record.ts';
import { readOpened } from './sealed-ca.ts';

/** A plane as its namespace tells it, with the way into its hosted cluster. */
export interface Plane extends PlaneSource {
  /**
   * Opens the hosted cluster as its break-glass administrator; nothing is sent yet. The caller closes it.
   *
   * @param options `wakes`: of a plane that sleeps too
   * @throws UserError `plane-asleep`
   */
  connect(options?: { wakes: boolean }): Promise<HostedCluster>;
}

/**
 * Reads the plane of the cluster's namespace: its record, addresses and certificates.
 *
 * @throws UserError `no-plane` or `plane-incomplete`
 */
export async function openPlane(cluster: InfraCluster): Promise<Plane> {
  const [record, existing] = await Promise.all([requireRecord(cluster), Existing.read(cluster)]);
  const spec = specRecorded(record);
  const own = (kind: string) => existing.ofKind(kind).filter((object) => belongsTo(object, record.planeId));
  const services = own('Service') as Service[];
  const bundle = await readOpened(cluster, own('Secret') as Secret[]);
  if (services.length < 2 || !bundle?.authorities.ca) {
    throw new UserError({
      what: `the plane in namespace "${cluster.namespace}" is not whole`,
      why: services.length < 2 ? 'its services are missing' : 'its certificates are missing',
      fix: words`run ${command('deploy', cluster.namespace)} again`,
      anchor: 'plane-incomplete',
    });
  }
  const addresses = addressesOf(spec, services, record);
  return {
    record,
    spec,
    addresses,
    bundle,
    // Ephemeral where there is neither etcd nor a claim of its.
    storage: presentStorage(existing, record.planeId) ?? { kind: 'ephemeral' },
    connect: async (options) => {
      if (!options?.wakes) refuseAsleep(cluster, record);
      return connectAsAdministrator(cluster, addresses, bundle);
    },
  };
}

/** What tells how the hosted API server is reached. */
type Dialled = Pick<Addresses, 'publicServer' | 'apiserverServiceIp' | 'insideOnly' | 'advertised'>;

/** The name of the hosted API server, as its certificate has it, and where it is reached from here unless `wayTo` knows another way. */
export function dialledServer({ hostedBy }: InfraCluster, { publicServer, apiserverServiceIp }: Dialled): string {
  return hostedBy === 'service' ? `https://${apiserverServiceIp}` : publicServer;
}

/** Opens connections to a hosted API server that nobody reaches from outside of the infra cluster; undefined where it is dialled. */
export function dialThroughInfra(
  cluster: InfraCluster,
  { insideOnly, advertised }: Dialled,
): (() => Promise<Duplex>) | undefined {
  return insideOnly && cluster.hostedBy === 'address' ? forwardToApi(cluster, advertised.port) : undefined;
}

/** The hosted cluster, as `administrator` says who acts for us; nothing is sent yet. The caller closes it. */
export async function connectAsAdministrator(
  cluster: InfraCluster,
  addresses: Dialled,
  bundle: PkiBundle,
): Promise<HostedCluster> {
  return connectAs(await administrator(bundle), cluster, addresses, bundle);
}

/** The same as the administrator of tls/kubeconfig, as far as there is one: with the rights that a person has. */
export async function connectAsPerson(
  cluster: InfraCluster,
  addresses: Dialled,
  bundle: PkiBundle,
): Promise<HostedCluster> {
  return connectAs(bundle.leaves.admin ?? (await administrator(bundle)), cluster, addresses, bundle);
}

function connectAs(
  client: Credential,
  cluster: InfraCluster,
  addresses: Dialled,
  { authorities }: PkiBundle,
): HostedCluster {
  return connectHosted({
    server: dialledServer(cluster, addresses),
    certificateAuthority: trusted(authorities.ca!),
    client,
    dial: dialThroughInfra(cluster, addresses),
    longestAnswer: cluster.longestHosted,
    // No proxy knows the addresses of services.
    proxies: cluster.hostedBy === 'service' ? undefined : cluster.transport.connection.proxies,
  });
}

/** For what needs the plane's pods. @throws UserError `plane-asleep` */
export function refuseAsleep({ namespace }: InfraCluster, { asleep }: PlaneRecord): void {
  if (!asleep) return;
  throw new UserError({
    what: `the plane in namespace "${namespace}" sleeps`,
    why: `it has had no pods since ${asleep.since}, so nothing can be asked of its hosted cluster`,
    fix: words`wake it with: ${command('wake', namespace)}`,
    anchor: 'plane-asleep',
  });
}

/**
 * For what changes a plane that was available: the etcd of any other may have no data yet, and would begin empty.
 *
 * @throws UserError `restore-unfinished`, `plane-incomplete`
 */
export function refuseUnfinished({ namespace }: InfraCluster, { phase }: PlaneRecord): void {
  if (phase === 'restoring') throw unfinishedRestore(namespace);
  if (phase === 'deploying')
    throw new UserError({
      what: `the plane in namespace "${namespace}" has never been available`,
      why: 'its first deploy is not finished',
      fix: words`run ${command('deploy', namespace)} again`,
      anchor: 'plane-incomplete',
      kind: 'refused',
    });
}

export function unfinishedRestore(namespace: string): UserError {
  return new UserError({
    what: `a restore into namespace "${namespace}" was not finished`,
    why: 'its etcd has not got the data of the backup yet, and would begin empty',
    fix: words`run ${command('restore', namespace, 'FILE')} again, which begins anew; or give up: ${command('destroy', namespace)}`,
    anchor: 'restore-unfinished',
    kind: 'refused',
  });
}

/**
 * Opens the plane of the namespace and its hosted cluster for `work`, which is not begun when that does not answer.
 *
 * @throws ConnectionError or ApiError of the hosted cluster, and as openPlane
 */
export async function inHostedCluster<T>(
  cluster: InfraCluster,
  work: (plane: Plane, hosted: HostedCluster) => Promise<T>,
): Promise<T> {
  const plane = await openPlane(cluster);
  const hosted = await plane.connect();
  try {
    await hosted.version();
    return await work(plane, hosted);
  } finally {
    await hosted.close();
  }
}
