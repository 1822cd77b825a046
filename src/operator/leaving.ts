import { messageOf } from '../base/errors.ts';
import { isNotFound } from '../kube/errors.ts';
import type { WholeCluster } from '../kube/whole-cluster.ts';
import { afterDeletion } from './deletion.ts';
import { KnownPlane } from './known-plane.ts';
import { makeLastBackup } from './last-backup.ts';
import type { HostedControlPlane } from './object.ts';
import type { OperatorOptions } from './options.ts';

/** Milliseconds to the next try to let an object go. */
const pause = 5000;

/** The objects that are being deleted and stay until there is a last backup. */
export class Leaving {
  readonly #cluster: WholeCluster;
  readonly #options: OperatorOptions;
  readonly #signal: AbortSignal;
  /** UIDs of those for which something is under way. */
  readonly #underWay = new Set<string | undefined>();
  /** UIDs of those whose last backup was made, or waited for as long as it may: another one would take an older one's place. */
  readonly #made = new Set<string | undefined>();

  constructor(cluster: WholeCluster, options: OperatorOptions, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#options = options;
    this.#signal = signal;
  }

  /** Makes the last backup of its plane, and lets it go then. */
  leave(object: HostedControlPlane): void {
    const { uid } = object.metadata;
    if (this.#underWay.has(uid)) return;
    this.#underWay.add(uid);
    const known = new KnownPlane(object, this.#cluster, this.#options);
    const around = known.around(this.#signal);
    const made = this.#made.has(uid) ? Promise.resolve() : makeLastBackup(object, around, this.#options.backupPatience);
    void made
      .then(() => {
        this.#made.add(uid);
        return known.hold(false);
      })
      .then(() => afterDeletion(object, around))
      .catch((error) => {
        if (isNotFound(error) || this.#signal.aborted) return;
        around.reporter.warn(messageOf(error));
        setTimeout(() => this.leave(known.object), pause).unref();
      })
      .finally(() => this.#underWay.delete(uid));
  }

  /** An object is gone. */
  left({ metadata }: HostedControlPlane): void {
    this.#made.delete(metadata.uid);
  }
}
