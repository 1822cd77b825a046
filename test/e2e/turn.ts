import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, inject } from 'vitest';
import { withLock } from '../../src/sandbox/lock.ts';
import { needsOf, pairsOfWorkers, places } from './order.ts';

// Before anything of a file is loaded: its turn. The locks end with the process too, so a file that was killed holds nobody up.

const ended = new Promise<void>((resolve) => afterAll(() => resolve()));

class Taken extends Error {}

/** Milliseconds. A dozen files wait while two run, and each try writes a file. */
const pause = 500;

/**
 * Takes a lock until the file has ended, or until it is given back.
 *
 * @returns gives it back; undefined when another file has it
 */
function hold(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const until = () =>
      new Promise<void>((giveBack) => {
        resolve(giveBack);
        void ended.then(giveBack);
      });
    const refuse = () => {
      throw new Taken();
    };
    withLock(`${inject('sandbox')}.e2e-${name}`, 0, until, refuse).catch((error) =>
      error instanceof Taken ? resolve(undefined) : reject(error),
    );
  });
}

async function holdAnyOf(names: string[]): Promise<void> {
  for (;;) {
    for (const name of names) if (await hold(name)) return;
    await sleep(pause);
  }
}

/** All of them or none: what is held while the others are waited for would keep other files from it. */
async function holdAllOf(names: string[]): Promise<void> {
  for (;;) {
    const held: (() => void)[] = [];
    for (const name of names) {
      const giveBack = await hold(name);
      if (!giveBack) break;
      held.push(giveBack);
    }
    if (held.length === names.length) return;
    for (const giveBack of held) giveBack();
    await sleep(pause);
  }
}

const named = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
const [allPairs, allPlaces] = [named('workers', pairsOfWorkers), named('place', places)];

const needs = needsOf(path.basename(expect.getState().testPath!, '.test.ts'));
if (needs.places === 'all') await holdAllOf(['operator', ...allPairs, ...allPlaces]);
if (needs.places === 'one') {
  if (needs.operator) await holdAnyOf(['operator']);
  if (needs.pairs === allPairs.length) await holdAllOf(allPairs);
  else if (needs.pairs > 0) await holdAnyOf(allPairs);
  await holdAnyOf(allPlaces);
}
