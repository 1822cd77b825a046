/** One field of an object that is not as it should be. */
export interface FieldDifference {
  /** `spec.template.spec.containers[kube-scheduler].args`: list items by their name where they have one. */
  path: string;
  /** What the object has; absent when the field is missing. */
  live?: unknown;
  /** What it should have; absent when the field should not be there. */
  recorded?: unknown;
}

/** What the server keeps about an object, as opposed to what somebody wanted of it. */
const bookkeeping = new Set(['managedFields', 'resourceVersion', 'generation', 'uid', 'creationTimestamp']);

/**
 * Fields in which two objects differ, in the order of their paths. Lists of scalars (arguments, say) are one field;
 * lists of named items are compared item by item, whatever their order. Pure.
 */
export function differences(
  live: { metadata: object; status?: unknown },
  recorded: { metadata: object; status?: unknown },
): FieldDifference[] {
  return compare(withoutBookkeeping(live), withoutBookkeeping(recorded), '');
}

/** Likewise, in an annotation. */
const countOfTemplates = 'deprecated.daemonset.template.generation';

function withoutBookkeeping(object: { metadata: object; status?: unknown }): object {
  const { status: _, ...rest } = object;
  const metadata = Object.fromEntries(
    Object.entries(object.metadata)
      .filter(([field]) => !bookkeeping.has(field))
      .map(([field, value]) => [
        field,
        field === 'annotations'
          ? Object.fromEntries(Object.entries(value).filter(([key]) => key !== countOfTemplates))
          : value,
      ]),
  );
  return { ...rest, metadata };
}

function compare(live: unknown, recorded: unknown, path: string): FieldDifference[] {
  if (live === undefined && recorded === undefined) return [];
  const [a, b] = [fieldsOf(live), fieldsOf(recorded)];
  if (a && b && a.kind === b.kind) {
    const keys = [...new Set([...a.fields.keys(), ...b.fields.keys()])];
    return keys.flatMap((key) =>
      compare(a.fields.get(key), b.fields.get(key), a.kind === 'list' ? `${path}[${key}]` : join(path, key)),
    );
  }
  return same(live, recorded) ? [] : [{ path, live, recorded }];
}

/** The parts of a value that are compared each on its own; undefined for a value that is compared whole. */
function fieldsOf(value: unknown): { kind: 'object' | 'list'; fields: Map<string, unknown> } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value)) return { kind: 'object', fields: new Map(Object.entries(value)) };
  const names = value.map((item) => nameOfItem(item));
  if (value.length === 0 || names.includes(undefined) || new Set(names).size < names.length) return undefined;
  return { kind: 'list', fields: new Map(value.map((item, index) => [names[index]!, item])) };
}

/** By what Kubernetes tells the items of most lists apart. */
function nameOfItem(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { name, mountPath, port, key, ip } = item as Record<string, unknown>;
  const found = mountPath ?? name ?? port ?? key ?? ip;
  return found === undefined ? undefined : String(found);
}

/** `metadata.labels["app.kubernetes.io/name"]`: a key that holds a dot is told apart from a path. */
function join(path: string, key: string): string {
  if (/[./]/.test(key)) return `${path}["${key}"]`;
  return path === '' ? key : `${path}.${key}`;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}
