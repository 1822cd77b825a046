import { setTimeout as sleep } from 'node:timers/promises';
import { checkFiles, writeFiles } from '../../access/files.ts';
import { workerVisit } from '../../access/worker-config.ts';
import { UserError } from '../../base/errors.ts';
import { buildAddons } from '../../hosted/addons.ts';
import { applyAddons } from '../../hosted/apply.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { ConfigMap } from '../../kube/objects.ts';
import { nothingApplied } from '../../live/apply.ts';
import type { Held } from '../../live/held.ts';
import { openPlane, type Plane } from '../../live/open.ts';
import { podsOf } from '../../live/pods.ts';
import { updateUnfinished } from '../../live/record.ts';
import { sealingOf } from '../../live/sealed-ca.ts';
import { type HeldPlane, openHeld, withPlane } from '../../live/with-plane.ts';
import {
  type Authority,
  type AuthorityStage,
  addNext,
  authorityStageOf,
  dropPrevious,
  endHold,
  switchSigner,
  trusted,
  trustedOfClients,
  unlocked,
} from '../../pki/authority.ts';
import { ensureCertificates } from '../../pki/certificates.ts';
import { certificatesIn, fingerprint, inspect } from '../../pki/inspect.ts';
import { type AuthorityName, authorityRows } from '../../pki/table.ts';
import { type Component, componentNames } from '../../plane/components/lookup.ts';
import type { PlaneRecord, Unfinished } from '../../plane/record.ts';
import { certificateContext } from '../../plane/render.ts';
import { rollOut } from '../../rollout/roll-out.ts';
import type { Work } from '../../ui/work.ts';
import { askKubelets, clientsWithoutCa, workersWithoutCa } from './ca-adoption.ts';

/** Every authority of a plane. */
export const rotatable = authorityRows.map(({ name }) => name);

/** Authorities that workers know too, and the first of them people and pods: those have to be told before the old one goes. */
const knownToWorkers: AuthorityName[] = ['ca', 'kubelet-serving-ca'];

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
  record,
}: Pick<Plane, 'record'> & { bundle: Pick<Plane['bundle'], 'authorities'> }): RotationStatus[] {
  return rotatable.map((name) => {
    const authority = authorities[name]!;
    const stage = authorityStageOf(authority);
    const next = stage === 'one' && drops(record).length > 0 ? 'the end of its replacement' : nextSteps[stage];
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
  held: 'when workers and clients were told: the API server shows the new one, and the old one is dropped',
  switched: 'the old one is dropped',
};

export interface RotationRequest {
  /** Authorities to replace. What is under way already goes on first, and nothing else is begun by that run. */
  names: AuthorityName[];
  /** Whether to lock out who was not told, and to replace etcd's pods although the data of an ephemeral one goes with them. */
  force: boolean;
  /** Asks the person before clients that k8sk8s cannot know are locked out. @throws UserError when the answer is no */
  agree(action: string, consequence: string): Promise<void>;
  /** Where the kubeconfigs go. */
  files: { dir: string; force: boolean };
}

/**
 * Replaces authorities, in stages in which nobody meets a certificate that is not trusted: the new one is trusted beside
 * the old one by all components, then it signs and their certificates are made anew, and when all of them use those the old
 * one is dropped. Those that workers know need two runs, and a visit to every worker in between. Each stage is stored before
 * it is taken: killed anywhere and run again, it goes on from there.
 *
 * @returns where all authorities stand in the end
 * @throws UserError `data-loss` where an ephemeral etcd would begin anew, `clients-untold` while somebody would be locked out
 */
export async function rotateAuthorities(
  cluster: InfraCluster,
  request: RotationRequest,
  work: Work,
): Promise<RotationStatus[]> {
  return withPlane(cluster, 'certs rotate-ca', work, (plane) => rotateAuthoritiesOf(plane, request));
}

/** rotateAuthorities of a plane whose lock is held. */
export async function rotateAuthoritiesOf(plane: HeldPlane, request: RotationRequest): Promise<RotationStatus[]> {
  await new Rotation(plane, request).run();
  return statusOf(await openHeld(plane.held));
}

/** Who knows authorities that are dropped: `workers` have to be visited after that. */
type KnownTo = NonNullable<Unfinished['rotate-ca']>['drops'][number];

/** Those whose last step was begun and has not come to its end. */
function drops({ unfinished }: Pick<PlaneRecord, 'unfinished'>): KnownTo[] {
  return unfinished?.['rotate-ca']?.drops ?? [];
}

/** Notes what is left to be dropped. */
async function noteDrops(held: Held, change: (now: KnownTo[]) => KnownTo[]): Promise<void> {
  await updateUnfinished(held, 'rotate-ca', (before) => {
    const left = change(before?.drops ?? []);
    return left.length > 0 ? { drops: left } : undefined;
  });
}

const isOfEtcd = (name: AuthorityName): boolean => name === 'etcd-ca' || name === 'etcd-peer-ca';

class Rotation {
  readonly #cluster: InfraCluster;
  readonly #plane: HeldPlane;
  readonly #request: RotationRequest;
  readonly #names: AuthorityName[];
  readonly #work: Work;

  constructor(plane: HeldPlane, request: RotationRequest) {
    const work = plane.held;
    const underWay = rotatable.filter((name) => authorityStageOf(plane.bundle.authorities[name]!) !== 'one');
    const goesOn = underWay.length > 0 || drops(plane.record).length > 0;
    if (goesOn) work.reporter.line(`going on with what was begun${underWay.map((name) => ` ${name}`).join(',')}`);
    this.#cluster = plane.held.cluster;
    this.#plane = plane;
    this.#request = request;
    this.#names = goesOn ? underWay : request.names;
    this.#work = work;
    if (this.#names.includes('ca')) unlocked(this.#authority('ca'));
    if (!request.force) this.#refuseDataLoss();
    checkFiles(request.files, trusted(plane.bundle.authorities.ca!));
  }

  async run(): Promise<void> {
    const { reporter } = this.#work;
    const ending = drops(this.#plane.record);
    const told = this.#workers().filter((name) => this.#since(name) !== undefined);
    const begun = this.#at('one');
    if (begun.length > 0) {
      reporter.line(`${begun.join(', ')}: a new one is trusted beside the old one, which still signs`);
      await this.#change(begun, (authority) => addNext(authority, this.#plane.spec.keyType));
    }
    const added = this.#at('added');
    if (added.length > 0) {
      await this.#reach(componentNames);
      await this.#published();
      reporter.line(`${added.join(', ')}: the new one signs; what the old one signed is made anew`);
      await this.#change(added, (authority, name) => switchSigner(authority, name === 'ca'));
    }
    const pending = this.#names.filter((name) => this.#authority(name).switched === 'pending');
    if (pending.length > 0) {
      await this.#reach(componentNames);
      const switched = new Date().toISOString();
      await this.#change(pending, (authority) => ({ ...authority, switched }));
      await this.#reach([]);
    }
    const quiet = this.#at('switched').filter((name) => !knownToWorkers.includes(name));
    if (quiet.length > 0 || ending.includes('components')) await this.#drop(quiet, 'components');
    if (told.length > 0) await this.#dropTold(told);
    else {
      if (ending.includes('workers')) await this.#drop([], 'workers');
      if (this.#workers().length > 0)
        await this.#tell(`Then run this again, which drops the old ${this.#workers().join(' and ')}.`);
    }
    if (this.#plane.storage.kind === 'ephemeral' && this.#names.some(isOfEtcd))
      reporter.warn(
        `etcd began anew without what it held, as was allowed: run k8sk8s deploy -n ${this.#cluster.namespace} now`,
      );
  }

  /** Nothing of a worker or a person is of the old ones any more, or that is accepted. */
  async #dropTold(names: AuthorityName[]): Promise<void> {
    const { force, agree } = this.#request;
    if (!force) {
      await this.#refuseUntold(names);
      await agree(
        `drop the old ${names.join(' and ')}`,
        'Kubeconfigs that people copied before are refused from then on; k8sk8s cannot see who still has one.',
      );
    }
    const held = names.filter((name) => authorityStageOf(this.#authority(name)) === 'held');
    if (held.length > 0) {
      this.#work.reporter.line('the API server shows itself by the new one');
      await this.#change(held, endHold);
    }
    // None is held either where a run was killed that had stored so much, and pods still show themselves by the old one.
    await this.#reach(componentNames);
    await this.#drop(names, 'workers');
  }

  /**
   * What the old ones signed is refused from here on.
   *
   * @param names none where a run that was killed has dropped them, and the rest is left
   */
  async #drop(names: AuthorityName[], knownTo: KnownTo): Promise<void> {
    if (names.length > 0) this.#work.reporter.line(`${names.join(', ')}: the old one is dropped`);
    await noteDrops(this.#plane.held, (now) => [...new Set([...now, knownTo])]);
    await this.#change(names, dropPrevious);
    // A new pod of etcd has its new certificate at once, so the API servers that ask it trust the new authority alone later.
    await this.#reach(['etcd']);
    await this.#reach(componentNames);
    await this.#forget();
    if (knownTo === 'workers') await this.#tell('Until then they go on trusting the old one, too.');
    await noteDrops(this.#plane.held, (now) => now.filter((each) => each !== knownTo));
  }

  /** What k8sk8s itself gave to workers, people and pods, and what is left for people to do. */
  async #tell(last: string): Promise<void> {
    await this.#renewFiles();
    const { reporter } = this.#work;
    for (const step of workerVisit(this.#request.files.dir)) reporter.line(step);
    reporter.line(last);
  }

  async #renewFiles(): Promise<void> {
    const { spec, addresses, bundle } = this.#plane;
    const { reporter } = this.#work;
    await this.#inHosted(async (hosted) => {
      const assets = buildAddons(spec, addresses, bundle.authorities);
      await applyAddons(hosted, assets, nothingApplied(), this.#work);
      await writeFiles({ ...this.#request.files, renewToken: true, spec, addresses, bundle, hosted, reporter });
    });
  }

  async #refuseUntold(names: AuthorityName[]): Promise<void> {
    const { record, bundle } = this.#plane;
    const untold = await this.#inHosted(async (hosted) => {
      const kubelets = await askKubelets(this.#cluster, hosted, record.planeId, bundle.authorities.ca!);
      const since = this.#since('ca');
      return [
        ...workersWithoutCa(
          kubelets,
          names.map((name) => ({ name, since: this.#since(name)! })),
        ),
        ...(since ? await clientsWithoutCa(hosted, since) : []),
      ];
    });
    if (untold.length === 0) return;
    const shown = untold.slice(0, 8).join(', ');
    throw new UserError({
      what: `the old ${names.join(' and ')} cannot be dropped yet: ${untold.length} of those who know it were not told of the new one, as far as can be seen`,
      why: `${shown}${untold.length > 8 ? ', …' : ''}`,
      fix: `on every worker named: ${workerVisit(this.#request.files.dir).slice(1).join(' ')} Make pods named anew (kubectl rollout restart). Then run this again; --yes drops it all the same, and locks them out`,
      anchor: 'clients-untold',
    });
  }

  #workers(): AuthorityName[] {
    return this.#names.filter((name) => knownToWorkers.includes(name));
  }

  /** Since when all components use certificates of the new signer; undefined when that is not so, or none is replaced. */
  #since(name: AuthorityName): Date | undefined {
    const { previous, switched } = this.#authority(name);
    return previous && switched !== undefined && switched !== 'pending' ? new Date(switched) : undefined;
  }

  #authority(name: AuthorityName): Authority {
    return this.#plane.bundle.authorities[name]!;
  }

  #at(stage: AuthorityStage): AuthorityName[] {
    return this.#names.filter((name) => authorityStageOf(this.#authority(name)) === stage);
  }

  async #change(
    names: AuthorityName[],
    change: (authority: Authority, name: AuthorityName) => Authority | Promise<Authority>,
  ): Promise<void> {
    for (const name of names) this.#plane.bundle.authorities[name] = await change(this.#authority(name), name);
  }

  /** Stores the authorities as they are now, with the certificates that follow, and lets `rolled` run by them. */
  async #reach(rolled: readonly Component[]): Promise<void> {
    const { signal } = this.#work;
    signal.throwIfAborted();
    const { bundle, spec, addresses } = this.#plane;
    const context = certificateContext(this.#cluster.namespace, spec, addresses);
    const options = { keyType: spec.keyType, sealing: sealingOf(spec, this.#cluster) };
    Object.assign(bundle, (await ensureCertificates(bundle, context, options)).bundle);
    await rollOut(this.#cluster, this.#plane, bundle, [...rolled], this.#work);
  }

  /** A changed authority of etcd means new pods, and an ephemeral plane's data lives and dies with its pod. */
  #refuseDataLoss(): void {
    const etcd = this.#names.filter(isOfEtcd);
    if (this.#plane.storage.kind !== 'ephemeral' || etcd.length === 0) return;
    throw new UserError({
      what: `another ${etcd.join(' and ')} replaces the pod of etcd, and all objects of the hosted cluster would be lost with it`,
      why: 'the plane keeps its data in that pod (ephemeral storage)',
      fix: `name the others alone, --authority ${rotatable.filter((name) => !isOfEtcd(name)).join(' ')}; or add --yes when nothing in the hosted cluster is worth keeping, and run k8sk8s deploy -n ${this.#cluster.namespace} afterwards`,
      anchor: 'data-loss',
      kind: 'refused',
    });
  }

  /** Pods and aggregated API servers read whom to believe from ConfigMaps: those have to name the new ones before they sign. */
  async #published(): Promise<void> {
    const { 'front-proxy-ca': frontProxy, ca } = this.#plane.bundle.authorities;
    const names = (text: string | undefined, all: string) => {
      const told = certificatesIn(text ?? '').map(fingerprint);
      return certificatesIn(all).every((each) => told.includes(fingerprint(each)));
    };
    await this.#eventually('until pods and aggregated API servers are told of it', async () => {
      const { data } = await this.#trustForAggregated();
      const { items } = await this.#inHosted((hosted) =>
        hosted.list<ConfigMap>(configMaps, { fieldSelector: 'metadata.name=kube-root-ca.crt' }),
      );
      return (
        names(data?.[frontProxyKey], trusted(frontProxy!)) &&
        names(data?.[clientKey], trustedOfClients(ca!)) &&
        items.every((each) => names(each.data?.['ca.crt'], trusted(ca!)))
      );
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
        const known = certificatesIn(trustedOfClients(authority)).map(fingerprint);
        return certificatesIn(data[key] ?? '').some((each) => !known.includes(fingerprint(each)));
      });
      if (surplus.length === 0) return true;
      const next = Object.fromEntries(surplus.map(([key, authority]) => [key, trustedOfClients(authority)]));
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
          fix: `look at: k8sk8s status -n ${this.#cluster.namespace}; then run the same command again, it goes on from here`,
          anchor: 'rotation-stuck',
        });
      }
      await sleep(500, undefined, { signal });
    }
    phase.done();
  }
}

/** https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/ */
const configMaps = { apiVersion: 'v1', kind: 'ConfigMap' };
const trustMap: ConfigMap = {
  ...configMaps,
  metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' },
};
const frontProxyKey = 'requestheader-client-ca-file';
const clientKey = 'client-ca-file';
