import { loadAll } from 'js-yaml';
import * as z from 'zod';
import { messageOf } from '../../base/errors.ts';
import { checked, everyKey, matches, matching } from './checked.ts';
import { dnsName } from './hosts.ts';

/** The name of an object of most kinds: a DNS subdomain. */
export const objectName = (kind: string) =>
  checked(
    (value) => (/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(value) ? undefined : `is not the name of a ${kind}`),
    {
      maxLength: 253,
      rule: matches('^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$'),
      message: `has to be the name of a ${kind}`,
    },
  );

export const labelValue = z
  .string()
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/, 'is not a label value')
  .meta({ maxLength: 63 });

/** NAMESPACE/NAME[/LISTENER] of a Gateway. */
export const gatewayName = matching(
  new RegExp(`^${dnsName}/${dnsName}([.]${dnsName})*(/${dnsName}([.]${dnsName})*)?$`),
  'has to be NAMESPACE/NAME or NAMESPACE/NAME/LISTENER, of a Gateway',
  600,
);

const metadataKey = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/;
const ownKey =
  /^(app\.kubernetes\.io\/(name|component|instance|version|part-of|managed-by)$|([-a-z0-9.]+\.)?k8sk8s\.io\/)/;

/** Labels or annotations that objects of a plane get beside k8sk8s' own. @param value what each value may be */
export const metadata = (value: z.ZodType<string>) =>
  z
    .record(z.string(), value)
    .superRefine((map, context) => {
      for (const key of Object.keys(map)) {
        const message = !metadataKey.test(key)
          ? 'has a key that is none: it has to be [PREFIX/]NAME'
          : ownKey.test(key)
            ? 'has a key that k8sk8s sets itself'
            : undefined;
        if (message !== undefined) context.addIssue({ code: 'custom', message, path: [key] });
      }
    })
    .meta(
      everyKey(
        `${matches(metadataKey.source, 'key')} && !${matches(ownKey.source, 'key')}`,
        'has a key that is not [PREFIX/]NAME, or that k8sk8s sets itself',
      ),
    );

const userNumber = /^(platform|[1-9]\d{0,9})$/;
const userNumberMessage = 'has to be a number from 1, or platform to leave it to the infra cluster';

/** The number of a user or group, not root's; or `platform`, to leave it to the infra cluster. Kept as a string. */
export const numberOrPlatform = z.coerce
  .string()
  .regex(userNumber, userNumberMessage)
  .meta({
    'x-kubernetes-int-or-string': true,
    'x-kubernetes-validations': [{ rule: matches(userNumber.source, 'string(self)'), message: userNumberMessage }],
  });

/** KEY[=VALUE][:EFFECT], as in kubectl taint. */
export const toleration = checked(
  (value) =>
    /^[A-Za-z0-9][\w./-]*(=[\w.-]*)?(:(NoSchedule|PreferNoSchedule|NoExecute))?$/.test(value)
      ? undefined
      : 'has to be KEY[=VALUE][:EFFECT], as in kubectl taint',
  {
    maxLength: 400,
    rule: matches('^[A-Za-z0-9][A-Za-z0-9_./-]*(=[A-Za-z0-9_.-]*)?(:(NoSchedule|PreferNoSchedule|NoExecute))?$'),
    message: 'has to be KEY[=VALUE][:EFFECT], as in kubectl taint',
  },
);

/** A record has room for it: etcd takes objects of up to 1.5 MiB, and ConfigMaps of 1 MiB. */
const manifestLimit = 500_000;

/** Manifests of objects, as YAML. */
export const manifests = checked(
  (value) => {
    if (value.length > manifestLimit) return `is longer than ${manifestLimit} characters`;
    let documents: unknown[];
    try {
      documents = loadAll(value).filter((each) => each !== null && each !== undefined);
    } catch (error) {
      return `is not valid YAML: ${messageOf(error)}`;
    }
    if (documents.length === 0) return 'has no object';
    const wrong = documents.findIndex((each) => !isObject(each));
    return wrong < 0 ? undefined : `has a document, number ${wrong + 1}, without apiVersion, kind or metadata.name`;
  },
  { maxLength: manifestLimit },
);

function isObject(document: unknown): boolean {
  const { apiVersion, kind, metadata, items } = document as Record<string, unknown>;
  if (kind === 'List') return Array.isArray(items) && items.every(isObject);
  return [apiVersion, kind, (metadata as { name?: unknown } | undefined)?.name].every(
    (each) => typeof each === 'string',
  );
}
