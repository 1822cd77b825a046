import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Connection, dial } from '../connect-proxy/connection.ts';
import { Refusal } from '../connect-proxy/refusal.ts';
import type { Judgement } from './judgement.ts';

/** Addresses of a name that are tried, one after the other. */
const tries = 3;

export type Resolve = (host: string) => Promise<{ address: string }[]>;

/** As a Judgement, or somebody who has to ask first. */
interface Judge {
  refuses(...of: Parameters<Judgement['refuses']>): string | undefined | Promise<string | undefined>;
}

export const resolveHost: Resolve = (host) => lookup(host, { all: true });

/**
 * Opens what the API server's own configuration and its tenants name by URL: webhooks, audit, tokens. A name is resolved once, and the
 * connection goes to an address that was judged: an answer that changes in between changes nothing.
 *
 * @param milliseconds for each address
 * @throws Refusal
 */
export async function openOutside(
  judgement: Judge,
  host: string,
  port: number,
  milliseconds: number,
  resolve: Resolve = resolveHost,
): Promise<Connection> {
  const open = await judgedAddresses(judgement, host, port, resolve);
  let last: unknown;
  for (const address of open)
    try {
      return await dial(address, port, milliseconds);
    } catch (error) {
      last = error;
    }
  throw last;
}

/** The addresses of a host that may be dialled, resolved once. @throws Refusal where there is none */
export async function judgedAddresses(
  judgement: Judge,
  host: string,
  port: number,
  resolve: Resolve = resolveHost,
): Promise<string[]> {
  const addresses = isIP(host) ? [{ address: host }] : await resolved(host, resolve);
  const judged = await Promise.all(
    addresses.map(async ({ address }) => ({ address, why: await judgement.refuses(address, host, port) })),
  );
  const open = judged.filter(({ why }) => why === undefined).slice(0, tries);
  if (open.length > 0) return open.map(({ address }) => address);
  const words = judged.map(({ address, why }) => `${address} is closed (${why})`).join(', ');
  throw new Refusal('probed', words || 'the name has no address');
}

async function resolved(host: string, resolve: Resolve): Promise<{ address: string }[]> {
  try {
    return await resolve(host);
  } catch (error) {
    throw new Refusal('probed', `the name is not resolved: ${(error as NodeJS.ErrnoException).code}`);
  }
}
