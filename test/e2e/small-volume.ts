import { inject } from 'vitest';
import { inside } from '../../src/sandbox/machine.ts';
import { loadState, type MachineState } from '../../src/sandbox/state.ts';
import { asInfraAdmin, type Namespace, succeeded } from './world.ts';

/**
 * The sandbox's volumes are folders of a node without a limit. For a while, that of a claim is a small file system of its own with the same
 * content: its pod must not be there when that begins and when it ends.
 */
export class SmallVolume {
  readonly #machine: MachineState;
  readonly #folder: string;

  private constructor(machine: MachineState, folder: string) {
    this.#machine = machine;
    this.#folder = folder;
  }

  static async ofClaim(home: Namespace, claim: string, megabytes: number): Promise<SmallVolume> {
    const name = succeeded(await home.infra('get', 'pvc', claim, '-o', 'jsonpath={.spec.volumeName}')).stdout.trim();
    const { spec } = JSON.parse(succeeded(await asInfraAdmin('get', 'pv', name, '-o', 'json')).stdout);
    const node: string = spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0];
    const machine = loadState(inject('sandbox'))!.machines.find((each) => each.name === node)!;
    const volume = new SmallVolume(machine, (spec.hostPath ?? spec.local).path);
    await volume.#sh(
      `cp -a "$0" "$0.kept" && mount -t tmpfs -o size=${megabytes}m,mode=777 tmpfs "$0" && cp -a "$0.kept/." "$0" && rm -r "$0.kept"`,
    );
    return volume;
  }

  /** Leaves so many bytes. */
  async fill(left: number): Promise<void> {
    await this.#sh(
      `rm -f "$0/ballast"; free=$(df --output=avail -B1 "$0" | tail -1); head -c $((free - ${left})) /dev/zero >"$0/ballast"`,
    );
  }

  async free(): Promise<void> {
    await this.#sh('rm -f "$0/ballast"');
  }

  /** Nobody may write to it then, or anybody again. */
  async allow(how: 'ro' | 'rw'): Promise<void> {
    await this.#sh(`mount -o remount,${how} "$0"`);
  }

  /** What was written since then goes. */
  async takeBack(): Promise<void> {
    await this.#sh('umount -l "$0"');
  }

  #sh(command: string): Promise<string> {
    return inside(this.#machine, ['sh', '-c', command, this.#folder]);
  }
}
