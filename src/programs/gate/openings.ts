import { isIP } from 'node:net';
import { type OpeningsFile, openingOf } from '../../base/openings.ts';
import { fetchText } from './fetch-text.ts';
import { Judgement, type Rules } from './judgement.ts';
import { judgedAddresses } from './outside.ts';

/** A document is asked for again after this, and no sooner: an issuer may move its keys. */
const freshMilliseconds = 10_000;
const answerMilliseconds = 2500;

/**
 * What may be dialled beyond what the arguments say: the sources of identity, which come and go while the API server runs. The file
 * is read for each connection.
 */
export class Openings {
  readonly #rules: Rules;
  readonly #read: () => string;
  readonly #say: (words: string) => void;
  readonly #now: () => number;
  #text = '';
  #file: OpeningsFile = { open: [], discovery: [] };
  #asked = { at: Number.NEGATIVE_INFINITY, keys: Promise.resolve<string[]>([]) };

  /** @param read the text of the file; it may throw, where there is none */
  constructor(rules: Rules, read: () => string, say: (words: string) => void, now = () => performance.now()) {
    this.#rules = rules;
    this.#read = read;
    this.#say = say;
    this.#now = now;
  }

  /** The judgement of this moment. Where nothing but an issuer's keys can be meant, the issuers are asked where those are. */
  async judgementOf(host: string, port: number): Promise<Judgement> {
    this.#readAgain();
    const known = this.#judgement([]);
    const { discovery } = this.#file;
    const isIssuer = this.#file.open.includes(openingOf(host, port));
    if (discovery.length === 0 || isIssuer) return known;
    return this.#judgement(await this.#keyHosts(known));
  }

  #judgement(more: string[]): Judgement {
    return new Judgement({ ...this.#rules, open: [...this.#rules.open, ...this.#file.open, ...more] });
  }

  #readAgain(): void {
    try {
      const now = this.#read();
      if (now === this.#text) return;
      this.#file = JSON.parse(now) as OpeningsFile;
      this.#text = now;
      this.#asked.at = Number.NEGATIVE_INFINITY;
    } catch (error) {
      this.#say(`openings: ${(error as Error).message}`);
    }
  }

  #keyHosts(judgement: Judgement): Promise<string[]> {
    if (this.#now() - this.#asked.at < freshMilliseconds) return this.#asked.keys;
    const before = this.#asked.keys;
    const keys = Promise.all(
      this.#file.discovery.map(async (issuer) => {
        try {
          return [await keysOpening(issuer, judgement)];
        } catch (error) {
          this.#say(`openings: ${issuer.url}: ${(error as Error).message}`);
          return undefined;
        }
      }),
    )
      .then(async (found) => (found.includes(undefined) ? [...(await before), ...found.flat()] : found.flat()))
      .then((found) => [...new Set(found.filter((each) => each !== undefined))]);
    this.#asked = { at: this.#now(), keys };
    return keys;
  }
}

/** Where a discovery document says that the keys are. */
async function keysOpening({ url, ca }: OpeningsFile['discovery'][number], judgement: Judgement): Promise<string> {
  const document = JSON.parse(await fetchDocument(url, ca, judgement)) as { jwks_uri?: unknown };
  const { protocol, hostname, port } = new URL(String(document.jwks_uri));
  if (protocol !== 'https:') throw new Error('its keys are not at an https URL');
  return openingOf(hostname, Number(port || 443));
}

async function fetchDocument(url: string, ca: string | undefined, judgement: Judgement): Promise<string> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const [address] = await judgedAddresses(judgement, host, Number(port || 443));
  return fetchText(url, answerMilliseconds, {
    ca,
    // The address that was judged is dialled, whatever the name leads to by then.
    lookup: (_host, options, answer) =>
      options.all
        ? answer(null, [{ address: address!, family: isIP(address!) }])
        : answer(null, address!, isIP(address!)),
  });
}
