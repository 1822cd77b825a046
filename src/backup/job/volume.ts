import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { wholeFile } from '../file.ts';
import type { Store } from './run.ts';

const folder = '/backups';

/** The volume of the schedule, mounted. */
export function volumeStore(): Store {
  return {
    shared: false,
    list: async () => readdirSync(folder),
    put: (name, make) => wholeFile(path.join(folder, name), make),
    remove: async (name) => rmSync(path.join(folder, name)),
  };
}
