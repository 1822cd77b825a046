/** Why a connection is not made: for the operator's log, never for whoever asked. */
export class Refusal extends Error {
  /**
   * `gone`: the pod that was asked for is not there any more. `probed`: the network of the infra cluster had a part in it, so
   * that not even the time of the answer may tell what was found.
   */
  readonly kind: 'refused' | 'gone' | 'probed';

  constructor(kind: Refusal['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}
