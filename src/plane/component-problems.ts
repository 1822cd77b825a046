import { type Words, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { nameOfArgument } from './arguments.ts';
import type { PlaneComponent } from './components/component.ts';
import { componentNames } from './components/lookup.ts';
import { components } from './components/table.ts';
import { workerPodsName } from './worker-pods/worker-pods.ts';

interface OwnedArgument {
  what: Words;
  /** The field of the spec that changes what the argument says. */
  instead?: keyof ClusterSpec;
}

/** Arguments given to components that k8sk8s sets itself; empty when all may be used. Pure. */
export function ownedArguments(spec: ClusterSpec): OwnedArgument[] {
  return components.flatMap(({ arguments: { by, owned } }: PlaneComponent) =>
    (by === undefined ? [] : spec[by]).flatMap((argument) => {
      const name = nameOfArgument(argument);
      if (by === undefined || !Object.hasOwn(owned, name)) return [];
      const instead = owned[name];
      const way = instead === undefined ? ', and the plane depends on it' : words`; use ${field(instead)} instead`;
      return [{ what: words`${field(by, name)} is set by k8sk8s itself${way}`, instead }];
    }),
  );
}

/** Entries of `resources` for components that there are none of, each a sentence. Pure. */
export function unknownComponents({ resources }: Pick<ClusterSpec, 'resources'>): Words[] {
  const names: readonly string[] = [...componentNames, workerPodsName];
  return resources
    .filter((entry) => entry.includes('=') && !names.includes(entry.slice(0, entry.indexOf('='))))
    .map((entry) => words`${field('resources', `"${entry}"`)} names no component: there are ${names.join(', ')}`);
}
