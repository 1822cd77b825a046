import { type Words, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { nameOfArgument } from './arguments.ts';
import { besideNames } from './beside/lookup.ts';
import type { PlaneComponent } from './components/component.ts';
import { componentNames } from './components/lookup.ts';
import { components } from './components/table.ts';

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

/** Flags by whose value a component reads a file when it starts. */
const readsFile = /(^|-)(file|config|kubeconfig|policy)$/;
/** Folders of images, and of what k8sk8s mounts. */
const folders = [
  '/etc/kubernetes',
  '/etc/etcd',
  '/etc/ssl',
  '/etc/resolv.conf',
  '/run/egress',
  '/var/lib/etcd',
  '/usr',
];

/**
 * Arguments that name a file which nobody can have put there, each a sentence: the component would end right after its start. An
 * image of one's own may have it. Pure.
 */
export function absentFiles(spec: ClusterSpec): Words[] {
  return components.flatMap(({ name: component, arguments: { by } }: PlaneComponent) =>
    (by === undefined || spec[by.replace('Args', 'Image') as 'apiServerImage'] !== undefined ? [] : spec[by]).flatMap(
      (argument) => {
        const name = nameOfArgument(argument);
        const file = argument.slice(argument.indexOf('=') + 1);
        if (!readsFile.test(name) || !file.startsWith('/')) return [];
        if (folders.some((folder) => file === folder || file.startsWith(`${folder}/`))) return [];
        return [words`${field(by!, name)} names ${file}, and no option puts a file into the pod of ${component}`];
      },
    ),
  );
}

/** Entries of `resources` for components that there are none of, each a sentence. Pure. */
export function unknownComponents({ resources }: Pick<ClusterSpec, 'resources'>): Words[] {
  const names: readonly string[] = [...componentNames, ...besideNames];
  return resources
    .filter((entry) => entry.includes('=') && !names.includes(entry.slice(0, entry.indexOf('='))))
    .map((entry) => words`${field('resources', `"${entry}"`)} names no component: there are ${names.join(', ')}`);
}
