import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { sweepUnfinished, wholeFile } from '../file.ts';
import type { Store } from './run.ts';

/** The volume of the schedule, mounted. */
export function volumeStore(folder = '/backups'): Store {
  return {
    shared: false,
    list: async () => readdirSync(folder),
    put: (name, make) => wholeFile(path.join(folder, name), make),
    remove: async (name) => rmSync(path.join(folder, name)),
    sweep: async (start) => {
      const swept = sweepUnfinished(folder, start);
      if (swept > 0) console.log(`${swept} unfinished files of earlier jobs deleted`);
    },
  };
}
