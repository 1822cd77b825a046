import path from 'node:path';
import { afterAll, expect, inject } from 'vitest';
import { withLock } from '../../src/sandbox/lock.ts';
import { needsOf, places } from './order.ts';

// Before anything of a file is loaded: its turn. The locks end with the process too, so a file that was killed holds nobody up.

const ended = new Promise<void>((resolve) => afterAll(() => resolve()));

class Taken extends Error {}

/** @returns false when another file still has it after so many seconds */
function hold(name: string, patience: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const until = async () => {
      resolve(true);
      await ended;
    };
    const refuse = () => {
      throw new Taken();
    };
    withLock(`${inject('sandbox')}.e2e-${name}`, patience, until, refuse).catch((error) =>
      error instanceof Taken ? resolve(false) : reject(error),
    );
  });
}

async function holdAnyPlace(): Promise<void> {
  for (;;) for (let place = 1; place <= places; place++) if (await hold(`place-${place}`, 0.2)) return;
}

const long = 7200;

/** Two files on the same workers would fail by each other. */
async function demand(name: string): Promise<void> {
  if (!(await hold(name, long))) throw new Error(`another file has held ${name} for ${long} s`);
}

const needs = needsOf(path.basename(expect.getState().testPath!, '.test.ts'));
for (const name of needs.shared) await demand(name);
if (needs.places === 'one') await holdAnyPlace();
if (needs.places === 'all') for (let place = 1; place <= places; place++) await demand(`place-${place}`);
