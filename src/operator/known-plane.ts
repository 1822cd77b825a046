import { isDeepStrictEqual } from 'node:util';
import { plain } from '../base/words.ts';
import { isConflict } from '../kube/errors.ts';
import type { WholeCluster } from '../kube/whole-cluster.ts';
import { completeReporter, type Reporter } from '../ui/reporter.ts';
import { Changes } from './changes.ts';
import { lifeAt } from './clock.ts';
import { type Fact, statusWith } from './conditions.ts';
import { finalizersFor, holdsForBackup } from './last-backup.ts';
import type { HostedControlPlane, Status } from './object.ts';
import type { OperatorOptions } from './options.ts';
import { asPlaneAccount, type ReconcileContext } from './plane-account.ts';
import { PlaneWatch } from './plane-watch.ts';

/** A plane's object as it was last seen, with what is under way for it. */
export class KnownPlane {
  object: HostedControlPlane;
  /** When the last look at it ended. */
  looked?: number;
  readonly said: Changes;
  readonly #cluster: WholeCluster;
  readonly #options: OperatorOptions;
  readonly #gone = new AbortController();
  #watch?: { planeId: string; of: PlaneWatch };

  constructor(object: HostedControlPlane, cluster: WholeCluster, options: OperatorOptions) {
    this.object = object;
    this.#cluster = cluster;
    this.#options = options;
    this.said = new Changes((level, text) => options.log({ plane: this.key, level, text }));
  }

  /** Its namespace: a namespace has one plane. */
  get key(): string {
    return this.object.metadata.namespace!;
  }

  /** Fires when the object is deleted. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  end(): void {
    this.#gone.abort(new Error('its HostedControlPlane was deleted'));
    this.unwatch();
  }

  /** What is known of the object now is what facts are told about, also when another one is known by then. */
  around(signal: AbortSignal): ReconcileContext {
    const { hostedBy, identity, timeout } = this.#options;
    const { object } = this;
    return {
      whole: this.#cluster,
      hostedBy,
      identity,
      timeout,
      signal,
      reporter: reporterOf(this.said),
      tell: async (facts, fields) => {
        // Whoever leads no longer, or whose object is gone, has nothing to say.
        signal.throwIfAborted();
        await this.#tell(object, facts, fields);
      },
      hold: async (waits) => {
        signal.throwIfAborted();
        await this.hold(waits);
      },
    };
  }

  async #tell(object: HostedControlPlane, facts: Fact[], fields: Partial<Status> = {}): Promise<void> {
    const { status: before } = this.object;
    const status = statusWith({ ...object, status: before }, facts, fields);
    if (isDeepStrictEqual(status, before)) return;
    // What is the same is not sent: beside a look, it is seen whether somebody uses the plane, and that is told at any time.
    const changed = Object.entries(status).filter(
      ([name, value]) => !isDeepStrictEqual(value, before?.[name as keyof Status]),
    );
    const told = await this.#untilWritten((now) => this.#cluster.mergeStatus(now, Object.fromEntries(changed)));
    if (!told || isOlder(told, this.object)) return;
    // Of the spec nothing is taken from here: that it has changed, the watch tells.
    const { resourceVersion } = told.metadata;
    this.object = {
      ...this.object,
      metadata: { ...this.object.metadata, resourceVersion },
      status: told.status,
    };
  }

  /** Lets the object wait for a last backup once it is deleted, or not. */
  async hold(waits: boolean): Promise<void> {
    if (holdsForBackup(this.object) === waits) return;
    await this.#untilWritten(async (now) => {
      const { apiVersion, kind } = this.object;
      const told = await this.#cluster.setFinalizers({ ...now, apiVersion, kind }, finalizersFor(now, waits));
      const { resourceVersion, finalizers } = told.metadata;
      this.object = { ...this.object, metadata: { ...this.object.metadata, resourceVersion, finalizers } };
    });
  }

  /**
   * Writes to this very object, whoever else wrote it meanwhile, and never to another one that has its name by now.
   *
   * @param write throws a conflict where the object is another than the one that it is given
   * @returns undefined where the object is gone
   */
  async #untilWritten<T>(write: (now: HostedControlPlane) => Promise<T>): Promise<T | undefined> {
    const { name, namespace, uid } = this.object.metadata;
    let now: HostedControlPlane | undefined = this.object;
    for (let left = 4; now?.metadata.uid === uid; left--) {
      try {
        return await write(now!);
      } catch (error) {
        if (left === 0 || !isConflict(error)) throw error;
        // The operator may list objects, and get none by its name.
        const selected = { fieldSelector: `metadata.name=${name}` };
        now = (await this.#cluster.list<HostedControlPlane>(this.object, selected, namespace)).items[0];
      }
    }
    return undefined;
  }

  /** Watches what the plane has by now. @returns whether some of that is new */
  async watch(around: ReconcileContext, onDrift: () => void): Promise<boolean> {
    const { planeId } = this.object.status ?? {};
    const { asleep } = lifeAt(this.object, new Date());
    if (this.#watch && (this.#watch.planeId !== planeId || this.#watch.of.broken || asleep)) this.unwatch();
    if (!planeId || asleep) return false;
    this.#watch ??= { planeId, of: this.#planeWatch(planeId, around, onDrift) };
    return this.#watch.of.extend();
  }

  #planeWatch(planeId: string, around: ReconcileContext, onDrift: () => void): PlaneWatch {
    return new PlaneWatch(asPlaneAccount(this.object, around), planeId, (text) => {
      this.#options.log({ plane: this.key, level: 'info', text });
      onDrift();
    });
  }

  unwatch(): void {
    void this.#watch?.of.close();
    this.#watch = undefined;
  }
}

/** Resource versions of one object grow (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions). */
export function isOlder(one: HostedControlPlane, other: HostedControlPlane): boolean {
  return Number(one.metadata.resourceVersion) < Number(other.metadata.resourceVersion);
}

function reporterOf(said: Changes): Reporter {
  return completeReporter({
    line: (text) => said.say('info', plain(text)),
    warn: (text) => said.say('warning', plain(text)),
    debug: () => undefined,
    begin: (title) => ({
      update: () => undefined,
      done: (text = title) => said.say('info', text),
      fail: (text = title) => said.say('warning', text),
    }),
  });
}
