import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from './errors.ts';
import { openPlane, type Plane, refuseAsleep } from './hosted.ts';
import type { InfraCluster } from './kube/cluster.ts';
import type { ConfigMap } from './kube/objects.ts';
import { acquireLock } from './lock.ts';
import {
  type Authority,
  type AuthorityStage,
  addNext,
  authorityStageOf,
  dropPrevious,
  switchSigner,
  trusted,
} from './pki/authority.ts';
import { ensureCertificates } from './pki/certificates.ts';
import { certificatesIn, fingerprint, inspect } from './pki/inspect.ts';
import type { AuthorityName } from './pki/table.ts';
import { certificateContext } from './plane/control-plane.ts';
import { podsOf } from './plane/pods.ts';
import { rollOut, type Work } from './plane/roll-out.ts';
import { markFinishing } from './record.ts';
import { type Component, components } from './spec.ts';

/** Authorities that can be replaced, without a word to a worker or a person: only components of the plane know them. */
export const rotatable: AuthorityName[] = ['etcd-ca', 'etcd-peer-ca', 'front-proxy-ca'];

export interface RotationStatus {
  name: AuthorityName;
  stage: AuthorityStage;
  /** Common name of the one that signs. */
  signer: string;
  /** Common names of all that are trusted, the oldest first. */
  trusted: string[];
  /** What the next run begins with; undefined where nothing is under way. */
  next?: string;
}

/** Where the authorities of the namespace's plane stand. @throws UserError `no-plane` or `plane-incomplete` */
export async function rotationStatus(cluster: InfraCluster): Promise<RotationStatus[]> {
  return statusOf(await openPlane(cluster));
}

/** Pure. */
export function statusOf({
  bundle: { authorities },
  record: { finishing },
}: Pick<Plane, 'record'> & { bundle: Pick<Plane['bundle'], 'authorities'> }): RotationStatus[] {
  return rotatable.map((name) => {
    const authority = authorities[name]!;
    const stage = authorityStageOf(authority);
    const next = stage === 'one' && finishing === command ? 'the end of its replacement' : nextSteps[stage];
    return {
      name,
      stage,
      signer: inspect(authority.certificate).commonName,
      trusted: certificatesIn(trusted(authority)).map((each) => inspect(each).commonName),
      ...(next && { next }),
    };
  });
}

const nextSteps: Record<AuthorityStage, string | undefined> = {
  one: undefined,
  added: 'the new one signs, and what the old one signed is made anew',
  held: 'the new one signs all, and the old one is dropped',
  switched: 'the old one is dropped',
};

export interface RotationRequest {
  /** Authorities to replace. What is under way already goes on first, and nothing else is begun by that run. */
  names: AuthorityName[];
  /** Whether etcd's pods may be replaced although the data of an ephemeral one goes with them. */
  allowDataLoss: boolean;
}

/**
 * Replaces authorities, in stages in which nobody meets a certificate that is not trusted: the new one is trusted beside
 * the old one by all components, then it signs and their certificates are made anew, and when all of them use those the old
 * one is dropped. Each stage is stored before it is taken: killed anywhere and run again, it goes on from there.
 *
 * @returns where all authorities stand in the end
 * @throws UserError `data-loss` where an ephemeral etcd would begin anew
 */
export async function rotateAuthorities(
  cluster: InfraCluster,
  request: RotationRequest,
  work: Work,
): Promise<RotationStatus[]> {
  const lock = await acquireLock(cluster, command, work.reporter);
  const signal = AbortSignal.any([work.signal, lock.lost]);
  try {
    const plane = await openPlane(cluster);
    refuseAsleep(cluster, plane.record);
    await new Rotation(cluster, plane, request, { ...work, signal }).run();
    return statusOf(await openPlane(cluster));
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    await lock.release();
  }
}

const command = 'certs rotate-ca';

const isOfEtcd = (name: AuthorityName): boolean => name === 'etcd-ca' || name === 'etcd-peer-ca';

class Rotation {
  readonly #cluster: InfraCluster;
  readonly #plane: Plane;
  readonly #names: AuthorityName[];
  readonly #work: Work;

  constructor(cluster: InfraCluster, plane: Plane, { names, allowDataLoss }: RotationRequest, work: Work) {
    const underWay = rotatable.filter((name) => authorityStageOf(plane.bundle.authorities[name]!) !== 'one');
    const goesOn = underWay.length > 0 || plane.record.finishing === command;
    if (goesOn) work.reporter.line(`going on with what was begun${underWay.map((name) => ` ${name}`).join(',')}`);
    this.#cluster = cluster;
    this.#plane = plane;
    this.#names = goesOn ? underWay : names;
    this.#work = work;
    if (!allowDataLoss) this.#refuseDataLoss();
  }

  async run(): Promise<void> {
    const { reporter } = this.#work;
    const begun = this.#at('one');
    if (begun.length > 0) {
      reporter.line(`${begun.join(', ')}: a new one is trusted beside the old one, which still signs`);
      await this.#change(begun, (authority) => addNext(authority, this.#plane.spec.keyType));
    }
    const added = this.#at('added');
    if (added.length > 0) {
      await this.#reach(components);
      await this.#published();
      reporter.line(`${added.join(', ')}: the new one signs; what the old one signed is made anew`);
      await this.#change(added, (authority) => switchSigner(authority, false));
    }
    const pending = this.#names.filter((name) => this.#authority(name).switched === 'pending');
    if (pending.length > 0) {
      await this.#reach(components);
      const switched = new Date().toISOString();
      await this.#change(pending, async (authority) => ({ ...authority, switched }));
      await this.#reach([]);
    }
    await this.#drop(this.#at('switched'));
    if (this.#plane.storage.kind === 'ephemeral' && this.#names.some(isOfEtcd))
      reporter.warn('etcd began anew without what it held, as was allowed: run k8sk8s deploy now');
  }

  /** What the old ones signed is refused from here on. */
  async #drop(names: AuthorityName[]): Promise<void> {
    if (names.length > 0) this.#work.reporter.line(`${names.join(', ')}: the old one is dropped`);
    await markFinishing(this.#cluster, command);
    await this.#change(names, dropPrevious);
    // A new pod of etcd has its new certificate at once, so the API servers that ask it trust the new authority alone later.
    await this.#reach(['etcd']);
    await this.#reach(components);
    await this.#forget();
    await markFinishing(this.#cluster, undefined);
  }

  #authority(name: AuthorityName): Authority {
    return this.#plane.bundle.authorities[name]!;
  }

  #at(stage: AuthorityStage): AuthorityName[] {
    return this.#names.filter((name) => authorityStageOf(this.#authority(name)) === stage);
  }

  async #change(
    names: AuthorityName[],
    change: (authority: Authority) => Authority | Promise<Authority>,
  ): Promise<void> {
    for (const name of names) this.#plane.bundle.authorities[name] = await change(this.#authority(name));
  }

  /** Stores the authorities as they are now, with the certificates that follow, and lets `rolled` run by them. */
  async #reach(rolled: readonly Component[]): Promise<void> {
    const { signal } = this.#work;
    signal.throwIfAborted();
    const { bundle, spec, addresses } = this.#plane;
    const context = certificateContext(this.#cluster.namespace, spec, addresses);
    Object.assign(bundle, (await ensureCertificates(bundle, context, { keyType: spec.keyType })).bundle);
    await rollOut(this.#cluster, this.#plane, bundle, [...rolled], this.#work);
  }

  /** A changed authority of etcd means new pods, and an ephemeral plane's data lives and dies with its pod. */
  #refuseDataLoss(): void {
    const etcd = this.#names.filter(isOfEtcd);
    if (this.#plane.storage.kind !== 'ephemeral' || etcd.length === 0) return;
    throw new UserError({
      what: `another ${etcd.join(' and ')} replaces the pod of etcd, and all objects of the hosted cluster would be lost with it`,
      why: 'the plane keeps its data in that pod (ephemeral storage)',
      fix: `leave ${etcd.length > 1 ? 'them' : 'it'} out with --authority; or add --yes when nothing in the hosted cluster is worth keeping, and run k8sk8s deploy afterwards`,
      anchor: 'data-loss',
      exitCode: 2,
    });
  }

  /**
   * Aggregated API servers read whom they may believe from a ConfigMap, which API servers write: that has to name the new
   * authority before it signs.
   */
  async #published(): Promise<void> {
    const wanted = certificatesIn(trusted(this.#authority('front-proxy-ca'))).map(fingerprint);
    await this.#eventually('until aggregated API servers are told of it', async () => {
      const { data } = await this.#trustForAggregated();
      const told = certificatesIn(data?.[frontProxyKey] ?? '').map(fingerprint);
      return wanted.every((each) => told.includes(each));
    });
  }

  /** API servers only ever add to that ConfigMap, so what was dropped is taken out of it, once none knows it any more. */
  async #forget(): Promise<void> {
    const { record, spec } = this.#plane;
    await this.#eventually('until the old API servers have ended', async () => {
      const pods = await podsOf(this.#cluster, record.planeId, 'kube-apiserver');
      return pods.length <= spec.replicas && pods.every(({ metadata }) => !metadata.deletionTimestamp);
    });
    await this.#eventually('until aggregated API servers are told of it', async () => {
      const { data = {} } = await this.#trustForAggregated();
      const kept = {
        [frontProxyKey]: this.#authority('front-proxy-ca'),
        [clientKey]: this.#plane.bundle.authorities.ca!,
      };
      const surplus = Object.entries(kept).filter(([key, authority]) => {
        const known = certificatesIn(trusted(authority)).map(fingerprint);
        return certificatesIn(data[key] ?? '').some((each) => !known.includes(fingerprint(each)));
      });
      if (surplus.length === 0) return true;
      const next = Object.fromEntries(surplus.map(([key, authority]) => [key, trusted(authority)]));
      await this.#inHosted((hosted) => hosted.merge(trustMap, trustMap.metadata.name, { data: next }, 'kube-system'));
      return false;
    });
  }

  async #trustForAggregated(): Promise<ConfigMap> {
    const { name, namespace } = trustMap.metadata;
    return (await this.#inHosted((hosted) => hosted.get<ConfigMap>(trustMap, name, namespace))) ?? trustMap;
  }

  async #inHosted<T>(ask: (hosted: Awaited<ReturnType<Plane['connect']>>) => Promise<T>): Promise<T> {
    const hosted = await this.#plane.connect();
    try {
      return await ask(hosted);
    } finally {
      await hosted.close();
    }
  }

  async #eventually(what: string, check: () => Promise<boolean>): Promise<void> {
    const { reporter, timeout, signal } = this.#work;
    const deadline = Date.now() + timeout;
    const phase = reporter.begin(`Waiting ${what}`);
    while (!(await check())) {
      if (Date.now() > deadline) {
        phase.fail();
        throw new UserError({
          what: `waited in vain ${what}, for ${Math.round(timeout / 1000)} s`,
          fix: 'look at: k8sk8s status; then run the same command again, it goes on from here',
          anchor: 'rotation-stuck',
        });
      }
      await sleep(500, undefined, { signal });
    }
    phase.done();
  }
}

/** https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/ */
const trustMap: ConfigMap = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' },
};
const frontProxyKey = 'requestheader-client-ca-file';
const clientKey = 'client-ca-file';
