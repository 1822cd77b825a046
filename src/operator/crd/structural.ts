import * as z from 'zod';
import type { FlagMeta } from '../../config/fields/flag.ts';
import { clusterSpec } from '../../config/schema.ts';
import { everyKey } from '../../config/values/checked.ts';

/** A structural schema, as far as it is made here (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema). */
export interface Structural {
  type?: string;
  description?: string;
  properties?: Record<string, Structural>;
  items?: Structural;
  additionalProperties?: Structural;
  'x-kubernetes-validations'?: object[];
  [key: string]: unknown;
}

/** What a schema says that a CustomResourceDefinition may say too; options of the command line and defaults go. */
const kept = ['type', 'enum', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'required'];
const keptToo = 'x-kubernetes-validations';
const intOrString = 'x-kubernetes-int-or-string';

/** Without a limit, the API server takes a rule about a field for as costly as 3 MB of that field would make it. */
const limits = { maxLength: 1024, maxItems: 64, maxProperties: 64 };

/**
 * A zod schema as a structural schema. It has no defaults: an absent field says that nobody has chosen, and a newer operator
 * may know a better default for planes to come.
 */
export function structural(schema: z.ZodType): Structural {
  return mended(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', override: keepKeys }) as Json);
}

/** OpenAPI 3.0 has no word for what the keys of a map may be. */
const keepKeys: z.core.ToJSONSchemaParams['override'] = ({ zodSchema, jsonSchema }) => {
  if (zodSchema instanceof z.ZodRecord)
    Object.assign(jsonSchema, { propertyNames: z.toJSONSchema(zodSchema.keyType as z.ZodType) });
};

interface Json extends Record<string, unknown> {
  type?: string;
  help?: string;
  description?: string;
  properties?: Record<string, Json>;
  items?: Json;
  additionalProperties?: Json | boolean;
  propertyNames?: Json;
}

function mended(json: Json): Structural {
  // Both types are allowed: what else is said of the value, a rule says.
  if (json[intOrString])
    return {
      ...described(json),
      [intOrString]: true,
      ...(json[keptToo] !== undefined && { [keptToo]: json[keptToo] }),
    } as Structural;
  const plain = Object.fromEntries([...kept, keptToo].filter((key) => key in json).map((key) => [key, json[key]]));
  return { ...described(json), ...plain, ...partsOf(json) };
}

function described({ help, description }: Json): { description?: string } {
  const text = help === undefined ? description : byFields(help);
  return text === undefined ? {} : { description: text };
}

/** Help names options; an object has fields. */
function byFields(help: string): string {
  return help.replace(/--([a-z][a-z-]*)/g, (text, flag: string) => fieldOfFlag.get(flag) ?? text);
}

const fieldOfFlag = new Map(
  Object.entries(clusterSpec.shape).map(([name, field]) => [(field.meta() as unknown as FlagMeta).flag, name]),
);

function partsOf(json: Json): Structural {
  if (json.type === 'string') return json.enum ? {} : { maxLength: json.maxLength ?? limits.maxLength };
  if (json.type === 'array')
    return { items: mended(json.items!), maxItems: limits.maxItems, 'x-kubernetes-list-type': 'atomic' };
  if (json.type !== 'object') return {};
  const { properties, additionalProperties, propertyNames } = json;
  if (properties)
    return {
      properties: Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, mended(field)])),
      // What may have more fields than are known here.
      ...(additionalProperties !== false &&
        additionalProperties !== undefined && { 'x-kubernetes-preserve-unknown-fields': true }),
    };
  return {
    additionalProperties: mended(additionalProperties as Json),
    maxProperties: limits.maxProperties,
    ...(propertyNames?.pattern !== undefined &&
      everyKey(`key.matches(r'${propertyNames.pattern}')`, 'has a key that is no name')),
  };
}
