import type * as z from 'zod';
import type { FieldPart } from '../base/words.ts';
import type { FlagMeta } from './fields/flag.ts';
import { type ClusterSpec, clusterSpec } from './schema.ts';

/** `--service-cidr` for `serviceCidr`: the name of a field as a person types it. */
export function flagOf(field: string): string {
  const schema = (clusterSpec.shape as Record<string, z.ZodType>)[field];
  const meta = schema?.meta() as FlagMeta | undefined;
  return meta ? `--${meta.flag}` : field;
}

/** A field of the spec as part of a sentence: `field('etcdMembers', 3)`. */
export function field(name: keyof ClusterSpec, value?: string | number): FieldPart {
  return { field: name, flag: flagOf(name), ...(value !== undefined && { value: `${value}` }) };
}
