import * as z from 'zod';
import { UserError } from '../base/errors.ts';
import { toolVersion } from '../base/version.ts';
import { command, words } from '../base/words.ts';
import { parseSpec } from '../config/parse.ts';
import { type ClusterSpec, type ClusterSpecInput, clusterSpec } from '../config/schema.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { labelsOf, recordName } from './names.ts';

/** The record is a ConfigMap of the namespace; what it says stands in its key `plane.json`. */
export const recordKind = { apiVersion: 'v1', kind: 'ConfigMap' };
const key = 'plane.json';

/** What `plane.json` says of itself. */
const written = { apiVersion: 'k8sk8s.io/v1alpha1', kind: 'PlaneRecord' } as const;

/** RFC 3339. */
const time = z.string();

/** An etcd snapshot in the namespace's Secrets. */
const storedSnapshot = z.strictObject({
  /** How many Secrets. */
  parts: z.number(),
  /** Bytes of the snapshot. */
  size: z.number(),
  /** SHA-256 of the database in the snapshot, hexadecimal. */
  sha256: z.string(),
  /** The newest in the snapshot. */
  revision: z.number(),
});

const asleep = z.strictObject({
  since: time,
  /** How many pods each workload, by its name, gets when the plane wakes. */
  replicas: z.record(z.string(), z.number()),
  /** Where an ephemeral etcd's data is meanwhile. */
  snapshot: storedSnapshot.optional(),
  /** etcd has been given the snapshot back, and may have seen writes since. */
  givenBack: z.boolean().optional(),
});

/** What trying the plane's NetworkPolicies has shown. */
const networkFinding = z.strictObject({
  /** `unknown`: not even what everybody may reach was reached, or the pod that tries found no room. */
  policies: z.enum(['enforced', 'not enforced', 'unknown']),
  /** Components that were reached although no policy lets that happen. */
  reached: z.array(z.string()),
  at: time,
});

/** What of the plane's Secrets somebody may have read, by public names. */
const exposed = z.strictObject({
  /** When replacing it began. */
  since: time,
  /** Fingerprints of the authorities, as `fingerprint` gives them. */
  authorities: z.array(z.string()),
  /** As `keyIds` gives them. */
  serviceAccountKeys: z.array(z.string()),
  /** As `providerName` gives them. */
  encryptionKeys: z.array(z.string()),
});

/** `since`: when it was begun; a record of 0.1.0 does not tell. */
const begun = { since: time.optional() };

/**
 * Operations of which a step was begun that has to be ended by the same operation, one entry for each: run again, the
 * operation ends that step instead of beginning anew. Another operation in between leaves the entry alone.
 */
const unfinished = z.strictObject({
  /** Old authorities are being dropped: those that components alone know, those that workers know too, or both. */
  'rotate-ca': z.strictObject({ ...begun, drops: z.array(z.enum(['components', 'workers'])) }).optional(),
  /** The old key of ServiceAccount tokens is being dropped. */
  'rotate-service-account-key': z.strictObject(begun).optional(),
  /** The old key of the hosted Secrets is being dropped. */
  'encrypt-rotate': z.strictObject(begun).optional(),
  /** Members of etcd are being replaced; where no majority was left, nothing else of the plane runs meanwhile. */
  'etcd-repair': z.strictObject(begun).optional(),
  /** The plane is being brought back from the backup that was made at `backup`. */
  restore: z.strictObject({ ...begun, backup: time }).optional(),
});

const schema = z.strictObject({
  apiVersion: z.literal(written.apiVersion),
  kind: z.literal(written.kind),
  /** Version of k8sk8s that wrote the record last. */
  writtenBy: z.string(),
  /** Identity of this plane; every object it owns carries it as app.kubernetes.io/instance. */
  planeId: z.string().min(1),
  /** Version of k8sk8s that deployed the plane last. */
  toolVersion: z.string(),
  /** The spec that last became available, or that is being deployed for the first time. */
  spec: z.looseObject({ host: z.string() }),
  /** Issuers of service-account tokens that may still be in use, newest first. */
  issuers: z.array(z.string()),
  /**
   * Names that the spec had before, newest first: the plane goes on answering there, because workers and people may dial them. The
   * spec's own may be among them while a change is under way.
   */
  earlierHosts: z.array(z.string()).optional(),
  /**
   * Those of them that were in workerEndpoint alone: they are in the certificate, and nothing that exposes the plane has them. A record
   * of before tells no difference.
   */
  unexposedHosts: z.array(z.string()).optional(),
  /** Networks of the infra cluster's services, in CIDR form, once they were learnt. */
  infraServices: z.array(z.string()).optional(),
  /** The issuer of the infra cluster's service account tokens, once --trust-infra asked for it. */
  infraIssuer: z.string().optional(),
  /**
   * UID of the hosted cluster's namespace kube-system, which no tenant can delete: another one means that etcd lost its data.
   */
  hostedUid: z.string().optional(),
  /** How often etcd was found to have lost its data: API servers that knew the old data are made anew. */
  losses: z.number().optional(),
  unfinished: unfinished.optional(),
  /** What `certs rotate-exposed` is replacing, as it was when that began; absent where nothing was exposed. */
  exposed: exposed.optional(),
  /** What was found when somebody last tried whether the plane's NetworkPolicies are enforced. */
  network: networkFinding.optional(),
  /** Present while the plane sleeps. */
  asleep: asleep.optional(),
  /**
   * `restoring` until etcd has the data of a backup: it must not begin empty before. `deploying` until the plane was seen
   * available with this spec.
   */
  phase: z.enum(['restoring', 'deploying', 'available']),
});

/** What the namespace remembers of its plane. */
export type PlaneRecord = Omit<z.infer<typeof schema>, keyof typeof written | 'writtenBy' | 'spec'> & {
  spec: ClusterSpecInput;
};
export type Asleep = z.infer<typeof asleep>;
export type StoredSnapshot = z.infer<typeof storedSnapshot>;
export type NetworkFinding = z.infer<typeof networkFinding>;
export type Exposed = z.infer<typeof exposed>;
export type Unfinished = z.infer<typeof unfinished>;

/**
 * Reads a record. What 0.1.0 wrote, which had no apiVersion, is taken over.
 *
 * @param raw as it was parsed from JSON
 * @param where what holds it, for the message: `the record of the plane`
 * @throws UserError `record-newer` for one of a newer k8sk8s that this one does not understand, else `record-damaged`
 */
export function readRecordFields(raw: unknown, where: string): PlaneRecord {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw damaged(where, 'it is no JSON object');
  const fields = raw as Record<string, unknown>;
  const current = fields.apiVersion === undefined ? of010(fields) : takeFinishing(fields);
  const result = schema.safeParse(current);
  const writer = [fields.writtenBy, fields.toolVersion].find((each) => typeof each === 'string') as string | undefined;
  const isNewer = writer !== undefined && isNewerThan(writer, toolVersion());
  const strange = result.success ? isNewer && strangeInSpec(result.data.spec) : issueOf(result.error);
  if (result.success && !strange) {
    const { apiVersion: _, kind: __, writtenBy: ___, ...record } = result.data;
    return record as PlaneRecord;
  }
  const unknownFormat = typeof fields.apiVersion === 'string' && fields.apiVersion !== written.apiVersion;
  throw isNewer || unknownFormat ? newer(where, writer, String(strange)) : damaged(where, String(strange));
}

/** parseRecord where a record that is damaged counts as none: for what gets along without it. @throws UserError `record-newer` */
export function parseRecordIfWhole(object: ConfigMap): PlaneRecord | undefined {
  try {
    return parseRecord(object);
  } catch (error) {
    if (error instanceof UserError && error.anchor === 'record-damaged') return undefined;
    throw error;
  }
}

/** @returns undefined for a ConfigMap that is not of k8sk8s. @throws UserError `record-newer`, `record-damaged` */
export function parseRecord({ metadata, data }: ConfigMap): PlaneRecord | undefined {
  const text = data?.[key];
  const where = `the record of the plane, configmap "${metadata.name}"${metadata.namespace ? ` of namespace "${metadata.namespace}"` : ''},`;
  if (text !== undefined) return readRecordFields(parseJson(text, where), where);
  if (metadata.labels?.['app.kubernetes.io/component'] !== 'record') return undefined;
  throw damaged(where, `its key ${key} is missing`);
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(where, `it is no JSON: ${(error as Error).message}`);
  }
}

/** What a plane was made as last, whatever versions this k8sk8s was tested with. Pure. @throws UserError `bad-values` */
export function specRecorded({ spec }: Pick<PlaneRecord, 'spec'>): ClusterSpec {
  return parseSpec({ ...spec, allowUntestedVersion: true }, 'in the record of the plane');
}

/** The record as it is kept, its fields always in the same order. */
export function recordFields(record: PlaneRecord): z.infer<typeof schema> {
  return schema.parse({ ...written, writtenBy: toolVersion(), ...record });
}

/** Pure. */
export function toConfigMap(record: PlaneRecord): ConfigMap {
  return {
    ...recordKind,
    metadata: { name: recordName, labels: labelsOf(record.planeId, 'record', record.spec.kubernetesVersion ?? '') },
    data: { [key]: `${JSON.stringify(recordFields(record), null, 2)}\n` },
  };
}

/** 0.1.0 had one slot, `finishing`, for the command whose last step was begun. */
const finishingOf010: Record<string, Unfinished> = {
  'certs rotate-ca': { 'rotate-ca': { drops: ['components'] } },
  'certs rotate-ca --authority ca kubelet-serving-ca': { 'rotate-ca': { drops: ['workers'] } },
  'certs rotate-service-account-key': { 'rotate-service-account-key': {} },
  'encrypt rotate': { 'encrypt-rotate': {} },
  'etcd repair': { 'etcd-repair': {} },
};
const restoreOf010 = 'restore of ';

function of010(fields: Record<string, unknown>): Record<string, unknown> {
  return takeFinishing({ ...written, writtenBy: fields.toolVersion, ...fields });
}

/** 0.1.0 leaves fields that it does not know, so its slot may stand in a newer record too. */
function takeFinishing({ finishing, ...fields }: Record<string, unknown>): Record<string, unknown> {
  if (typeof finishing !== 'string') return fields;
  const taken = finishing.startsWith(restoreOf010)
    ? { restore: { backup: finishing.slice(restoreOf010.length) } }
    : finishingOf010[finishing];
  return { ...fields, unfinished: { ...taken, ...(fields.unfinished as object | undefined) } };
}

/** Values that only a newer version knows. Those of an older one are for the reader of the spec, who can name them. */
function strangeInSpec(spec: Record<string, unknown>): string | undefined {
  const result = clusterSpec.safeParse({ ...spec, allowUntestedVersion: true });
  return result.success ? undefined : `spec: ${issueOf(result.error)}`;
}

function issueOf({ issues: [issue] }: z.ZodError): string {
  const at = issue!.path.join('.');
  return at === '' ? issue!.message : `${at}: ${issue!.message}`;
}

/** Of versions such as `0.2.0`; what stands after a `-` does not count. Pure. */
function isNewerThan(version: string, other: string): boolean {
  const [mine, theirs] = [version, other].map((each) => each.split('-')[0]!.split('.').map(Number));
  const differing = mine!.findIndex((part, index) => part !== (theirs![index] ?? 0));
  return differing >= 0 && mine![differing]! > (theirs![differing] ?? 0);
}

function newer(where: string, writer: string | undefined, why: string): UserError {
  return new UserError({
    what: `${where} was written by ${writer ? `k8sk8s ${writer}` : 'a newer k8sk8s'}, and this one, ${toolVersion()}, does not understand it`,
    why,
    fix: `use k8sk8s ${writer ?? 'of that version'} or newer; nothing was changed`,
    anchor: 'record-newer',
    kind: 'refused',
  });
}

function damaged(where: string, why: string): UserError {
  return new UserError({
    what: `${where} is damaged`,
    why,
    fix: words`put it back from a copy (${command('backup list')} shows backups, whose backup.json holds it), or take the plane away with ${command('destroy')}: all that the hosted cluster holds is lost then`,
    anchor: 'record-damaged',
  });
}
