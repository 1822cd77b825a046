import { loadAll } from 'js-yaml';
import type { KubeObject } from '../kube/objects.ts';

/** What a placeholder may stand for. `undefined` removes the field or list item; a list inside a list is spliced in. */
export type Value = string | number | boolean | undefined | Value[] | { [key: string]: Value };

const placeholder = /\$\{([A-Za-z][A-Za-z0-9]*)\}/g;

/**
 * The documents of plain YAML `text` with `${name}` replaced inside scalars. The text is parsed first, so a value can
 * never become syntax: a scalar that is one placeholder takes the value with its type, others take it as text.
 *
 * @param text of a template, as `import template from './deployment.yaml'` gives it
 * @param origin its name
 * @throws Error when the template has a placeholder without a value, or a value has no placeholder: a bug either way
 */
export function render(text: string, values: Record<string, Value>, origin: string): KubeObject[] {
  const used = new Set<string>();
  const lookUp = (key: string): Value => {
    if (!Object.hasOwn(values, key)) throw new Error(`${origin}: no value for \${${key}}`);
    used.add(key);
    return values[key];
  };
  const fill = (node: unknown): unknown => {
    if (typeof node === 'string') {
      const whole = /^\$\{([A-Za-z][A-Za-z0-9]*)\}$/.exec(node);
      return whole ? lookUp(whole[1]!) : node.replace(placeholder, (_, key: string) => String(lookUp(key)));
    }
    if (Array.isArray(node)) {
      return node.flatMap((item) => {
        const filled = fill(item);
        return filled === undefined ? [] : Array.isArray(filled) && typeof item === 'string' ? filled : [filled];
      });
    }
    if (typeof node === 'object' && node !== null) {
      return Object.fromEntries(
        Object.entries(node)
          .map(([key, value]) => [key, fill(value)])
          .filter(([, value]) => value !== undefined),
      );
    }
    return node;
  };
  const objects = loadAll(text).map(fill) as KubeObject[];
  const unused = Object.keys(values).filter((key) => !used.has(key));
  if (unused.length > 0) throw new Error(`${origin}: nothing uses ${unused.join(', ')}`);
  return objects;
}
