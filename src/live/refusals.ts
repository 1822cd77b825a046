import { UserError } from '../base/errors.ts';
import { again, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Event } from '../kube/objects.ts';
import { type Component, componentNames } from '../plane/components/lookup.ts';
import { refusedPod } from './admission.ts';
import { makesPodsOf } from './pod-problems.ts';

/** A provisioner tries again after a failure of its own. */
const volumeGrace = 15_000;

export interface RefusedPod {
  component: Component;
  /** Milliseconds since 1970; the server counts whole seconds. */
  when: number;
  error: UserError;
  /** A pod that ends gives its share back, and its successor is tried again. */
  byQuota: boolean;
}

const isQuota = ({ message = '' }: Event): boolean => message.includes('exceeded quota');

/** What the infra cluster says, by the namespace's events, that it does not make: a pod, a volume of etcd. */
export class Refusals {
  readonly #cluster: InfraCluster;
  readonly #since = Date.now();
  readonly #pods = new Map<Component, RefusedPod>();
  /** The first refusal to make a volume, since when, and whether trying again cannot help. */
  #volume: { since: number; hopeless: boolean; claim: string; message: string } | undefined;

  constructor(cluster: InfraCluster) {
    this.#cluster = cluster;
  }

  take(event: Event): void {
    const when = Date.parse(event.lastTimestamp ?? event.eventTime ?? '') || Date.now();
    // Event times have whole seconds; what is older than this run is somebody else's trouble.
    if (when < this.#since - 1000) return;
    const { kind, name } = event.involvedObject;
    if (event.reason === 'ProvisioningFailed' && kind === 'PersistentVolumeClaim' && /^data-etcd-\d$/.test(name))
      this.#examineVolume(event).catch(() => undefined);
    if (event.reason !== 'FailedCreate' || (kind !== 'ReplicaSet' && kind !== 'StatefulSet')) return;
    const component = componentNames.find((each) => makesPodsOf(name, each));
    if (!component) return;
    const error = refusedPod(component, event.message ?? '');
    this.#pods.set(component, { component, when, error, byQuota: isQuota(event) });
  }

  /** The last pod of each component that could not be made. */
  get pods(): RefusedPod[] {
    return [...this.#pods.values()];
  }

  /** A volume that is not made, once waiting does not help. */
  get volume(): UserError | undefined {
    if (!this.#volume) return undefined;
    const { hopeless, since, claim, message } = this.#volume;
    if (!hopeless && performance.now() - since < volumeGrace) return undefined;
    return new UserError({
      what: `the infra cluster makes no volume for etcd (claim "${claim}")`,
      why: message,
      fix: words`correct ${field('etcdStorageClass')} or ${field('etcdStorage')} and ${again}; more: kubectl -n ${this.#cluster.namespace} describe pvc ${claim}`,
      anchor: 'volume',
    });
  }

  /** Of an earlier claim of the same name, which was deleted for a better one, nothing counts. */
  async #examineVolume({ involvedObject: { kind, name, uid }, message = '' }: Event): Promise<void> {
    const claim = await this.#cluster.get({ apiVersion: 'v1', kind }, name);
    const hopeless = /storageclass\S* "[^"]*" not found/i.test(message);
    if (claim?.metadata.uid === uid) this.#volume ??= { since: performance.now(), hopeless, claim: name, message };
  }
}
