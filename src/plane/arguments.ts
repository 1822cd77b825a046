import type { ClusterSpec } from '../config/schema.ts';
import type { PlaneComponent } from './components/component.ts';

/** The person's flags of one component as command-line arguments; feature gates come along where the component has them. */
export function extraArguments(spec: ClusterSpec, { arguments: { by, featureGates } }: PlaneComponent): string[] {
  const gates = Object.entries(spec.featureGates).map(([gate, value]) => `${gate}=${value}`);
  const flags = (by === undefined ? [] : spec[by]).map((argument) => `--${argument.replace(/^--/, '')}`);
  return featureGates && gates.length > 0 ? [`--feature-gates=${gates.join(',')}`, ...flags] : flags;
}

/** A person's list of these joins the template's own, which the plane's security rests on. */
const joined = ['enable-admission-plugins'];

/** Drops the template's own default where the person gave the same flag: the last one does not win everywhere. */
export function overrideDefaults(args: string[], extra: string[]): string[] {
  const given = new Set(extra.map((argument) => nameOfArgument(argument)));
  const kept = args.filter((argument) => !given.has(nameOfArgument(argument)));
  const added = extra.map((argument) => {
    const name = nameOfArgument(argument);
    const own = args.find((each) => nameOfArgument(each) === name);
    return own && joined.includes(name)
      ? `--${name}=${[...new Set([...valuesOf(own), ...valuesOf(argument)])].join(',')}`
      : argument;
  });
  return [...kept, ...added];
}

function valuesOf(argument: string): string[] {
  return argument.slice(argument.indexOf('=') + 1).split(',');
}

/** `v` of `--v=2` and of `v=2`. */
export function nameOfArgument(argument: string): string {
  return argument.replace(/^--/, '').split('=')[0] ?? '';
}
