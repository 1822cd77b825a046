import { isIP } from 'node:net';
import { type OpeningsFile, openingOf } from '../../base/openings.ts';
import { fetchText } from './fetch-text.ts';
import { Judgement, type Rules } from './judgement.ts';
import { judgedAddresses, type Resolve, resolveHost } from './outside.ts';

/** A document is asked for again after this, and no sooner: an issuer may move its keys. */
const freshMilliseconds = 10_000;
const answerMilliseconds = 2500;
/** With the look-up of the name. */
const longest = 4000;

/**
 * What may be dialled beyond what the arguments say: the sources of identity, which come and go while the API server runs. The file
 * is read for each connection.
 */
export class Openings {
  readonly #rules: Rules;
  readonly #read: () => string;
  readonly #say: (words: string) => void;
  readonly #now: () => number;
  readonly #resolve: Resolve;
  #text = '';
  #file: OpeningsFile = { open: [], discovery: [] };
  /** By the URL of the document: an issuer that does not answer now keeps what it said before, until the file names it no more. */
  readonly #keys = new Map<string, string[]>();
  #asked = { at: Number.NEGATIVE_INFINITY, keys: Promise.resolve<string[]>([]) };

  /** @param read the text of the file; it may throw, where there is none */
  constructor(
    rules: Rules,
    read: () => string,
    say: (words: string) => void,
    { now = () => performance.now(), resolve = resolveHost } = {},
  ) {
    this.#rules = rules;
    this.#read = read;
    this.#say = say;
    this.#now = now;
    this.#resolve = resolve;
  }

  /**
   * As a Judgement says it at this moment. Where nothing but an issuer's keys can be meant, the issuers are asked where those are: a
   * provider that is away is no reason to wait for what is open anyway.
   */
  async refuses(address: string, asked: string, port: number): Promise<string | undefined> {
    this.#readAgain();
    const known = this.#judgement([]);
    const why = known.refuses(address, asked, port);
    if (why === undefined || this.#file.discovery.length === 0) return why;
    return this.#judgement(await this.#keyHosts(known)).refuses(address, asked, port);
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
      const urls = this.#file.discovery.map(({ url }) => url);
      for (const url of this.#keys.keys()) if (!urls.includes(url)) this.#keys.delete(url);
    } catch (error) {
      this.#say(`openings: ${(error as Error).message}`);
    }
  }

  #keyHosts(judgement: Judgement): Promise<string[]> {
    if (this.#now() - this.#asked.at < freshMilliseconds) return this.#asked.keys;
    const outside = new Judgement({ ...this.#rules, open: [] });
    const keys = Promise.all(
      this.#file.discovery.map(async (issuer) => {
        try {
          const found = await inTime(keysOpening(issuer, judgement, outside, this.#resolve));
          this.#keys.set(issuer.url, found);
          return found;
        } catch (error) {
          this.#say(`openings: ${issuer.url}: ${(error as Error).message}`);
          return this.#keys.get(issuer.url) ?? [];
        }
      }),
    ).then((found) => [...new Set(found.flat())]);
    this.#asked = { at: this.#now(), keys };
    return keys;
  }
}

/** A name that nobody resolves takes longer than whoever waits for it has. */
function inTime<T>(asked: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${longest / 1000} s`)), longest);
  });
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

/**
 * Where a discovery document says that the keys are. A provider on the Internet, which somebody else administers, opens nothing: its keys
 * are on the Internet too, and a document that led into a private network would open that for everything the API server calls.
 */
async function keysOpening(
  { url, ca }: OpeningsFile['discovery'][number],
  judgement: Judgement,
  outside: Judgement,
  resolve: Resolve,
): Promise<string[]> {
  const { hostname, port: digits } = new URL(url);
  const [host, port] = [hostname.replace(/^\[|\]$/g, ''), Number(digits || 443)];
  const addresses = await judgedAddresses(judgement, host, port, resolve);
  if (addresses.every((address) => outside.refuses(address, host, port) === undefined)) return [];
  const document = JSON.parse(await fetchDocument(url, ca, addresses[0]!)) as { jwks_uri?: unknown };
  const keys = new URL(String(document.jwks_uri));
  if (keys.protocol !== 'https:') throw new Error('its keys are not at an https URL');
  return [openingOf(keys.hostname, Number(keys.port || 443))];
}

function fetchDocument(url: string, ca: string | undefined, address: string): Promise<string> {
  return fetchText(url, answerMilliseconds, {
    ca,
    // The address that was judged is dialled, whatever the name leads to by then.
    lookup: (_host, options, answer) =>
      options.all ? answer(null, [{ address, family: isIP(address) }]) : answer(null, address, isIP(address)),
  });
}
