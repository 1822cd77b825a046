import { CORE_SCHEMA, eventsToAst, load, parseEvents, present } from 'js-yaml';
import { notAKubeconfig } from './read.ts';

type Document = ReturnType<typeof eventsToAst>[number];
export type Node = NonNullable<Document['contents']>;
export type Mapping = Extract<Node, { kind: 'mapping' }>;
export type Sequence = Extract<Node, { kind: 'sequence' }>;

/** The kubeconfig's mapping. The syntax tree keeps every scalar as it is spelled; loading and dumping values would not (0644, yes, big numbers). */
export function root(text: string): Mapping | undefined {
  const contents = eventsToAst(parseEvents(text, {}), { source: text, schema: CORE_SCHEMA })[0]?.contents;
  return contents?.kind === 'mapping' ? contents : undefined;
}

/** The tree as text again. @throws UserError when it would not be one that can be read */
export function write(contents: Mapping, path: string): string {
  const text = present([{ contents, directives: [] }], { schema: CORE_SCHEMA, lineWidth: -1, seqNoIndent: true });
  try {
    load(text);
  } catch {
    throw notAKubeconfig(path, 'it uses YAML anchors or tags in a way that nothing can be merged into');
  }
  return text;
}

/** One field of a mapping, with its key. */
export function field(mapping: Mapping, key: string): Mapping['items'][number] | undefined {
  return mapping.items.find((item) => item.key.kind === 'scalar' && item.key.value === key);
}

/** Writes a field where it stands, else at the end. */
export function setField(mapping: Mapping, key: string, value: Node): void {
  const present = field(mapping, key);
  if (present) present.value = value;
  else mapping.items.push({ key: scalar(key), value });
}

/** The name of an entry of clusters, users or contexts. */
export function nameOf(entry: Node): string | undefined {
  const name = entry.kind === 'mapping' ? field(entry, 'name')?.value : undefined;
  return name?.kind === 'scalar' ? name.value : undefined;
}

/** A text. */
export function scalar(value: string): Node {
  return { kind: 'scalar', tag: 'tag:yaml.org,2002:str', tagged: false, style: 1, value };
}
