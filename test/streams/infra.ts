import type { KubeObject } from '../../src/kube/objects.ts';
import { type Ask, refused, type Store } from './store.ts';
import { type Answer, hashIn, isCause, placeOf, type Tape, type Written, writeKey } from './tape.ts';

/** What the infra API of a tape answers to requests that are not watches. */
export class InfraAnswers {
  readonly #tape: Tape;
  readonly #infra: Store;
  /** How often each write was done. */
  readonly done = new Map<string, number>();
  /** What stands on the tape, and what stands for it in this run: template hashes, the plane's name. */
  readonly names = new Map<string, string>();

  constructor(tape: Tape, infra: Store) {
    this.#tape = tape;
    this.#infra = infra;
  }

  /** What is on the tape, in the words of this run. */
  translated<T>(value: T): T {
    let text = JSON.stringify(value);
    for (const [before, after] of this.names) text = text.replaceAll(before, after);
    return JSON.parse(text) as T;
  }

  log({ path, query }: Ask): Answer {
    const previous = query.get('previous') === 'true' ? ' previous' : '';
    const log = this.#tape.logs[`${placeOf(path).name}/${query.get('container')}${previous}`];
    return log === undefined ? refused(400, 'BadRequest') : { status: 200, body: log };
  }

  to(ask: Ask): Answer {
    const { method, path, query, body } = ask;
    const { plural, namespaced } = placeOf(path);
    if (plural.endsWith('reviews')) return { status: 201, body: { ...(body as object), status: { allowed: true } } };
    const read = this.#tape.reads[`${method} ${path}`];
    if (read) return read;
    if (method === 'GET' || !namespaced) return this.#infra.answer(ask);
    const key = writeKey(method, path, query, body);
    const times = (this.done.get(key) ?? 0) + 1;
    const written = this.#tape.writes[key]?.[times - 1];
    this.#learn(key, times, body);
    const answer = this.#answerWrite(ask, key, written && this.translated(written));
    // A pod that was not there was only looked for.
    if (method === 'DELETE' && isCause(plural) && answer.status === 404) return answer;
    this.done.set(key, times);
    return answer;
  }

  #answerWrite(ask: Ask, key: string, written: Written | undefined): Answer {
    if (written && 'refused' in written) return written.refused;
    // A pod goes when the tape says so.
    if (key.startsWith('DELETE pods/') && this.#infra.find(ask.path) && this.#isToGo(key.slice('DELETE pods/'.length)))
      return { status: 200, body: {} };
    return this.#infra.answer(ask, written?.adds);
  }

  #isToGo(pod: string): boolean {
    return this.#tape.items.some(
      (item) =>
        'event' in item && item.event === 'DELETED' && item.object.kind === 'Pod' && item.object.metadata.name === pod,
    );
  }

  /** What this run calls what has another name on the tape. */
  #learn(key: string, times: number, body: unknown): void {
    const there = this.#tape.items.filter((item) => 'write' in item && item.write === key)[times - 1];
    const hash = hashIn(body);
    if (there && 'hash' in there && there.hash && hash) this.names.set(there.hash, hash);
    const { metadata } = (body ?? {}) as Partial<KubeObject>;
    const own = metadata?.labels?.['app.kubernetes.io/instance'];
    const recorded = this.#tape.planeId;
    if (key === 'POST configmaps/k8sk8s' && recorded && own) this.names.set(recorded, own);
  }
}
