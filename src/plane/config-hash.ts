import { createHash } from 'node:crypto';
import type { Secret } from '../kube/objects.ts';
import type { PlaneComponent } from './components/component.ts';
import { readAtStart } from './read-at-start.ts';

/** What a component reads only at its start, of all the plane's Secrets. Pure. */
function startFiles({ secrets, readsAtStart }: PlaneComponent, all: Secret[]): Secret[] {
  if (readsAtStart) return readsAtStart(all);
  return readAtStart(all.filter(({ metadata }) => secrets.some(({ name }) => name === metadata.name)));
}

/** Hash of what a component reads only at its start: when it changes, its pods are made anew. Pure. */
export function restartHash(component: PlaneComponent, all: Secret[]): string {
  return hashOf(startFiles(component, all));
}

/** Files that a component reads only at its start and that become others, by name; some may be in several Secrets. Pure. */
export function changedStartFiles(component: PlaneComponent, before: Secret[], after: Secret[]): string[] {
  const filesOf = (secrets: Secret[]) =>
    new Map(
      startFiles(component, secrets).flatMap(({ metadata, data }) =>
        Object.entries(data ?? {}).map(([file, value]): [string, string] => [`${metadata.name}/${file}`, value]),
      ),
    );
  const [old, next] = [filesOf(before), filesOf(after)];
  const all = [...new Set([...old.keys(), ...next.keys()])].filter((file) => old.get(file) !== next.get(file));
  return [...new Set(all.map((file) => file.slice(file.indexOf('/') + 1)))].sort();
}

/** Changes when, and only when, the content of a Secret does. */
function hashOf(secrets: Secret[]): string {
  const hash = createHash('sha256');
  for (const each of secrets) hash.update(JSON.stringify([each.metadata.name, Object.entries(each.data ?? {}).sort()]));
  return hash.digest('hex').slice(0, 16);
}
