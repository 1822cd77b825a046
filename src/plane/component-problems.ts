import type { ClusterSpec } from '../config/schema.ts';
import { nameOfArgument } from './arguments.ts';
import type { PlaneComponent } from './components/component.ts';
import { componentNames } from './components/lookup.ts';
import { components } from './components/table.ts';

/** Problems with --…-arg options, each a sentence; empty when all may be used. Pure. */
export function ownedArgumentProblems(spec: ClusterSpec): string[] {
  return components.flatMap(({ arguments: { option, given, owned } }: PlaneComponent) =>
    given(spec).flatMap((argument) => {
      const name = nameOfArgument(argument);
      const instead = owned[name];
      if (instead === undefined) return [];
      return [
        `${option} ${name} is set by k8sk8s itself${instead === '' ? ', and the plane depends on it' : `; use ${instead} instead`}`,
      ];
    }),
  );
}

/** --resources of components that there are none of, each a sentence. Pure. */
export function unknownComponents({ resources }: Pick<ClusterSpec, 'resources'>): string[] {
  const names: readonly string[] = componentNames;
  return resources
    .filter((entry) => entry.includes('=') && !names.includes(entry.slice(0, entry.indexOf('='))))
    .map((entry) => `--resources "${entry}" names no component: there are ${names.join(', ')}`);
}
