import { loadAll } from 'js-yaml';
import * as z from 'zod';
import { closedRanges, isIp, isIpv4, isNetwork, nthAddress, parseCidr, rangeOf } from '../base/cidr.ts';
import { messageOf } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import { knownMinors, newest, resolveVersion } from './versions.ts';

/*
 * What one value may be: each is a schema for a field of the spec. An error message continues after the option and the value:
 * `--host "x y" contains a space`.
 */

/** What an API server is told of a value, which runs no code of ours: a CustomResourceDefinition's part of the schema. */
interface Told {
  maxLength: number;
  /** In CEL, about `self`. */
  rule?: string;
  /** What is said when the rule is broken. */
  message?: string;
}

/**
 * A string for which `problem` returns undefined; any other result is the error message. `told` says the same to an API server;
 * test/api/crd.test.ts finds what only one of the two refuses.
 */
function checked(
  problem: (value: string) => string | undefined,
  { maxLength, rule, message }: Told = { maxLength: 1024 },
) {
  return z
    .string()
    .superRefine((value, context) => {
      const message = problem(value);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    })
    .meta({ maxLength, ...(rule !== undefined && { 'x-kubernetes-validations': [{ rule, message }] }) });
}

/** CEL's `matches` of a pattern, which RE2 has to know too. */
const matches = (pattern: string, value = 'self') => `${value}.matches(r'${pattern}')`;

const dnsName = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';

/** hostProblem in CEL. */
const isHost = (value: string) =>
  `(${matches(`^${dnsName}([.]${dnsName})*$`, value)} && (!${matches('^[0-9.]+$', value)} || isIP(${value})))`;

const isAddress = (value: string) => `(isIP(${value}) && ip(${value}).family() == 4)`;

/** That a string ends in a port. */
const isPort = (value: string) => `(${matches('^[0-9]{1,5}$', value)} && int(${value}) >= 1 && int(${value}) <= 65535)`;

export const hostName = checked(hostProblem, {
  maxLength: 253,
  rule: isHost('self'),
  message:
    'has to be a host name such as k.example.com, or an IPv4 address: lower case, without scheme, port, path or wildcard',
});
export const hostNameOrAddress = checked((value) => (isIp(value) ? undefined : hostProblem(value)), {
  maxLength: 253,
  rule: `isIP(self) || ${isHost('self')}`,
  message: 'has to be a host name or an IP address',
});
export const ipv4Address = checked((value) => (isIpv4(value) ? undefined : 'is not an IPv4 address'), {
  maxLength: 15,
  rule: isAddress('self'),
  message: 'has to be an IPv4 address',
});

const gatewayPattern = new RegExp(`^${dnsName}/${dnsName}([.]${dnsName})*(/${dnsName}([.]${dnsName})*)?$`);

/** NAMESPACE/NAME[/LISTENER] of a Gateway. */
export const gatewayName = checked(
  (value) =>
    gatewayPattern.test(value) ? undefined : 'has to be NAMESPACE/NAME or NAMESPACE/NAME/LISTENER, of a Gateway',
  {
    maxLength: 600,
    rule: matches(gatewayPattern.source.replaceAll('\\/', '/')),
    message: 'has to be NAMESPACE/NAME or NAMESPACE/NAME/LISTENER, of a Gateway',
  },
);

/** HOST:PORT, both needed. */
export const hostAndPort = checked(
  (value) => {
    const [, host, port] = /^([^:/\s]+):(\d+)$/.exec(value) ?? [];
    if (host === undefined || Number(port) < 1 || Number(port) > 65535)
      return 'has to be HOST:PORT, such as k.example.com:8132';
    return hostProblem(host);
  },
  {
    maxLength: 259,
    rule: `self.split(':').size() == 2 && ${isHost("self.split(':')[0]")} && ${isPort("self.split(':')[1]")}`,
    message: 'has to be HOST:PORT, such as k.example.com:8132',
  },
);

/** CIDR, HOST or HOST:PORT, that the gate beside the API server lets through. */
export const opening = checked(
  (value) => {
    const [, host = value, port] = /^([^:/]*):(\d+)$/.exec(value) ?? [];
    if (value.includes('/') && !isNetwork(value)) return 'is not a network in CIDR form such as 10.20.0.0/16';
    if (!value.includes('/') && isIp(value) && !isIpv4(value)) return `is one IPv6 address; write ${value}/128`;
    if (port !== undefined && (Number(port) < 1 || Number(port) > 65535))
      return 'has to end with a port from 1 to 65535';
    const address = value.includes('/') || isIpv4(host) ? host : undefined;
    if (address === undefined) return hostProblem(host);
    const wide = address.endsWith('/0');
    return !wide && closedRanges.includes(rangeOf(address))
      ? 'is an address that no pod of the plane may be led to: its own, or of its machine alone'
      : undefined;
  },
  {
    maxLength: 259,
    rule: [
      "self.contains('/')",
      "? isCIDR(self) && (self.endsWith('/0') || cidr(self).ip().isGlobalUnicast())",
      `: self.split(':').size() <= 2 && (self.split(':').size() == 1 || ${isPort("self.split(':')[1]")})`,
      `&& ${isHost("self.split(':')[0]")}`,
      "&& (!isIP(self.split(':')[0]) || ip(self.split(':')[0]).isGlobalUnicast())",
    ].join(' '),
    message: 'has to be a CIDR, HOST or HOST:PORT, and no address of the pod or of its machine alone',
  },
);

/** https://HOST[:PORT], without a path. */
export const httpsUrl = checked(
  (value) =>
    /^https:\/\/[^/\s]+$/.test(value) && URL.canParse(value)
      ? undefined
      : 'has to be a URL such as https://10.0.0.7:6443',
  {
    maxLength: 270,
    rule: `${matches('^https://[^/\\s]+$')} && isURL(self)`,
    message: 'has to be a URL such as https://10.0.0.7:6443, without a path',
  },
);

/** https://HOST[:PORT][/PATH], as a token names who issued it. */
export const issuerUrl = checked(issuerProblem, {
  maxLength: 1024,
  rule: `${matches('^https://[^/\\s?#@]+(/[^\\s?#]*)?$')} && isURL(self)`,
  message: 'has to be a URL such as https://login.example.com/realm, without a user, query or fragment',
});

/** What the URL of an issuer may not be; undefined for a good one. Pure. */
export function issuerProblem(url: string): string | undefined {
  return /^https:\/\/[^/\s?#@]+(\/[^\s?#]*)?$/.test(url) && URL.canParse(url)
    ? undefined
    : 'has to be a URL such as https://login.example.com/realm, without a user, query or fragment';
}

export const port = portFrom(1);
export const nodePort = portFrom(1024);

/** The prefixes that a network may have, from that of the largest one to that of the smallest one. */
interface Prefixes {
  4: [largest: number, smallest: number];
  6: [largest: number, smallest: number];
}

/**
 * What is wrong with one network, or with two as `10.3.0.0/16,fd00:3::/108`. IPv4 comes first, because the first family is that of the
 * Service kubernetes, whose endpoint is an address of the infra cluster, and planes have IPv4 ones (docs/networks.md). Pure.
 */
function networksProblem(value: string, prefixes: Prefixes, example: string): string | undefined {
  const texts = value.split(',');
  if (texts.length > 2) return `is more than two networks; two are one of IPv4 and one of IPv6, such as ${example}`;
  const parsed = texts.map(parseCidr);
  const [first, second] = parsed;
  if (parsed.includes(undefined) || first === undefined)
    return `is not a network in CIDR form such as 10.3.0.0/16, nor two such as ${example}`;
  if (first.family === 6)
    return second === undefined
      ? `is IPv6 alone, which is not supported: the API server has an IPv4 address. Give an IPv4 network, or two such as ${example}`
      : `begins with IPv6, which is not supported: the first network is that of the Service kubernetes, and the API server has an IPv4 address. Write ${second.text},${first.text}`;
  if (second?.family === 4) return `is two IPv4 networks; two are one of IPv4 and one of IPv6, such as ${example}`;
  for (const each of [first, ...(second ? [second] : [])]) {
    const [largest, smallest] = prefixes[each.family];
    const written = `${nthAddress(each, 0)}/${each.prefix}`;
    if (each.text !== written)
      return `has host bits set, or is spelled as Kubernetes does not spell it; write ${written}`;
    const which = second === undefined ? '' : ` (${each.text})`;
    if (each.prefix > smallest) return `is too small${which}: at least a /${smallest} is needed`;
    if (each.prefix < largest) return `is too large${which}: at most a /${largest}`;
  }
  return undefined;
}

/** One IPv4 network without host bits, or two, the second one of IPv6. */
export const networks = (prefixes: Prefixes, example: string) => {
  const fits = (text: string, family: 4 | 6) => {
    const [largest, smallest] = prefixes[family];
    return `cidr(${text}).ip().family() == ${family} && string(cidr(${text}).masked()) == ${text} && cidr(${text}).prefixLength() >= ${largest} && cidr(${text}).prefixLength() <= ${smallest}`;
  };
  return checked((value) => networksProblem(value, prefixes, example), {
    maxLength: 62,
    rule: `self.split(',').size() <= 2 && self.split(',').all(each, isCIDR(each)) && ${fits("self.split(',')[0]", 4)} && (self.split(',').size() == 1 || (${fits("self.split(',')[1]", 6)}))`,
    message: `has to be an IPv4 network without host bits, of a prefix from /${prefixes[4].join(' to /')}, or two with an IPv6 network second, of a prefix from /${prefixes[6].join(' to /')}, such as ${example}`,
  });
};

/** A Kubernetes version that `resolveVersion` understands. */
export const version = checked(
  (value) =>
    resolveVersion(value)
      ? undefined
      : `is no Kubernetes version that this k8sk8s knows; known are ${knownMinors.map((known) => known.minor).join(', ')}, and full ones such as ${newest.patch}`,
  {
    maxLength: 32,
    rule: `${matches('^v?[0-9]+[.][0-9]+[.][0-9]+(-(alpha|beta|rc)[.][0-9]+)?$')} || self in [${knownMinors.map(({ minor }) => `'${minor}', 'v${minor}'`).join(', ')}]`,
    message: `has to be ${knownMinors.map(({ minor }) => minor).join(', ')}, or a full version such as ${newest.patch}`,
  },
);

export const image = checked(
  (value) =>
    /^[\w][\w.\-/:@]*$/.test(value) && !value.includes('//')
      ? undefined
      : 'is not an image reference such as registry.k8s.io/etcd:3.7.3-0',
  {
    maxLength: 512,
    rule: `${matches('^[A-Za-z0-9_][A-Za-z0-9_./:@-]*$')} && !self.contains('//')`,
    message: 'has to be an image reference such as registry.k8s.io/etcd:3.7.3-0',
  },
);

/** One more flag of a component: NAME=VALUE. */
export const argument = checked(
  (value) =>
    /^(--)?[a-z0-9][a-z0-9-]*=/.test(value)
      ? undefined
      : 'has to be NAME=VALUE, the name as the component spells it without the dashes',
  {
    maxLength: 1024,
    rule: matches('^(--)?[a-z0-9][a-z0-9-]*='),
    message: 'has to be NAME=VALUE, the name as the component spells it without the dashes',
  },
);

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

/** A rule about the keys of a map, which a schema for an API server cannot have. @param rule in CEL, about `key` */
export const everyKey = (rule: string, message: string) => ({
  'x-kubernetes-validations': [{ rule: `self.all(key, ${rule})`, message }],
});

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

const resourcePresets = ['small', 'limits', 'none'];
const quantity = '\\d+(?:\\.\\d+)?(?:m|k|M|G|T|Ki|Mi|Gi|Ti)?';
const resourcePattern = new RegExp(`^[a-z][a-z0-9-]*=((?:cpu|memory)=${quantity}(?:,(?:cpu|memory)=${quantity})?)$`);
const podSizePattern = /^cpu=[1-9]\d{0,4}m?,memory=[1-9]\d{0,11}(Ki|Mi|Gi|Ti)?$/;

/** A preset, or COMPONENT=cpu=QUANTITY,memory=QUANTITY (one of the two is enough); which components there are, plane/ knows. */
export const resources = checked(
  (value) =>
    resourcePresets.includes(value) || resourcePattern.test(value)
      ? undefined
      : `is neither a preset (${resourcePresets.join(', ')}) nor COMPONENT=cpu=…,memory=…`,
  {
    maxLength: 128,
    rule: `self in [${resourcePresets.map((preset) => `'${preset}'`).join(', ')}] || ${matches(resourcePattern.source)}`,
    message: `has to be ${resourcePresets.join(', ')}, or COMPONENT=cpu=100m,memory=256Mi`,
  },
);

/** `cpu=2,memory=4Gi`, both of them. */
export const podSize = checked(
  (value) => (podSizePattern.test(value) ? undefined : 'has to be cpu=N,memory=SIZE such as cpu=2,memory=4Gi'),
  {
    maxLength: 64,
    rule: matches(podSizePattern.source),
    message: 'has to be cpu=N,memory=SIZE such as cpu=2,memory=4Gi',
  },
);

const proxyPattern = /^https?:\/\/[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?\/?$/;
const proxyTold =
  'has to be http://HOST:PORT without a user and a password: what a plane is deployed with is readable in its record';

export const proxyUrl = checked((value) => (proxyPattern.test(value) ? undefined : proxyTold), {
  maxLength: 300,
  rule: matches(proxyPattern.source.replaceAll('\\/', '/')),
  message: proxyTold,
});

const exceptionsPattern = /^[A-Za-z0-9.*:_/-]+(,[A-Za-z0-9.*:_/-]+)*$/;
const exceptionsTold =
  'has to be a list of names, addresses and networks with commas, such as .corp.example,10.0.0.0/8';

/** As the variable NO_PROXY has it. */
export const proxyExceptions = checked((value) => (exceptionsPattern.test(value) ? undefined : exceptionsTold), {
  maxLength: 4096,
  rule: matches(exceptionsPattern.source),
  message: exceptionsTold,
});

/** The size of a volume on which images are unpacked. */
export const volumeSize = checked(
  (value) => {
    const size = parseQuantity(value);
    return size === undefined || !Number.isFinite(size) || size < 2 * 2 ** 30
      ? 'has to be a size of at least 2Gi such as 20Gi'
      : undefined;
  },
  {
    maxLength: 32,
    rule: "isQuantity(self) && quantity(self).compareTo(quantity('2Gi')) >= 0",
    message: 'has to be a size of at least 2Gi such as 20Gi',
  },
);

/** `auto`, `ephemeral` or the size of a volume as a quantity of at least 1Gi. */
export const etcdStorage = checked(
  (value) => {
    if (value === 'auto' || value === 'ephemeral') return undefined;
    const size = parseQuantity(value);
    if (size === undefined || !Number.isFinite(size)) return 'is neither auto, ephemeral nor a size such as 10Gi';
    return size < 2 ** 30 ? "is too small: etcd's volume has at least 1Gi" : undefined;
  },
  {
    maxLength: 32,
    rule: "self in ['auto', 'ephemeral'] || (isQuantity(self) && quantity(self).compareTo(quantity('1Gi')) >= 0)",
    message: 'has to be auto, ephemeral, or a size of at least 1Gi such as 10Gi',
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

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function hostProblem(host: string): string | undefined {
  if (host === '') return 'is empty: give the name by which workers and kubectl will reach the API server';
  if (/\s/.test(host)) return 'contains a space';
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(host))
    return `is a URL; give only the host name: ${URL.canParse(host) ? new URL(host).hostname : 'k.example.com'}`;
  if (host.includes('*')) return 'is a wildcard; give one name that this plane alone answers to';
  if (ipv6(host)) return 'is an IPv6 address; only names and IPv4 addresses are supported';
  if (host.includes(':')) return `names a port; give it with -p: -h ${host.split(':')[0]} -p ${host.split(':')[1]}`;
  if (host.includes('/')) return 'contains a slash; give only the host name';
  if (isIpv4(host)) return undefined;
  if (/^[\d.]+$/.test(host)) return 'is neither an IPv4 address nor a host name';
  if (host.endsWith('.')) return `ends with a dot, which certificates cannot carry; write ${host.replace(/\.+$/, '')}`;
  if (host.length > 253) return `is ${host.length} characters long; a host name has at most 253`;
  const bad = host.split('.').find((label) => !dnsLabel.test(label));
  if (bad !== undefined)
    return bad.length > 63
      ? `has a part of ${bad.length} characters; each has at most 63`
      : `has a part that no host name may have: "${bad}" (lower-case letters, digits and - inside)`;
  return undefined;
}

function ipv6(text: string): boolean {
  const bare = text.replace(/^\[|\]$/g, '');
  return bare.includes(':') && isIp(bare);
}

function portFrom(minimum: number) {
  const words = `has to be ${minimum} to 65535`;
  return z.coerce.number().int().min(minimum, words).max(65535, words);
}

/** Five fields in cron's syntax, as a CronJob has them. */
export const cron = z
  .string()
  .regex(
    /^[-0-9A-Za-z*,/?#]+( [-0-9A-Za-z*,/?#]+){4}$/,
    'has to be five fields in the syntax of cron, such as 0 19 * * 1-5',
  );

/** A name of the time zone database. */
export const timeZone = z
  .string()
  .regex(/^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+){0,2}$/, 'has to be a time zone, such as Europe/Berlin');

/** `auto`, `ephemeral` or the size of a volume as a quantity of at least 512Mi. */
export const logsStorage = checked(
  (value) => {
    if (value === 'auto' || value === 'ephemeral') return undefined;
    const size = parseQuantity(value);
    if (size === undefined || !Number.isFinite(size)) return 'is neither auto, ephemeral nor a size such as 10Gi';
    return size < 2 ** 29 ? 'is too small: the store has at least 512Mi' : undefined;
  },
  {
    maxLength: 32,
    rule: "self in ['auto', 'ephemeral'] || (isQuantity(self) && quantity(self).compareTo(quantity('512Mi')) >= 0)",
    message: 'has to be auto, ephemeral, or a size of at least 512Mi such as 10Gi',
  },
);

const retentionPattern = /^([1-9]\d{0,3})([dwy])$/;
const retentionMessage = 'has to be a number of days, weeks or years: 1d, 2w, 1y';

/** How long lines are kept, in VictoriaLogs' own words. */
export const logsRetention = checked((value) => (retentionPattern.test(value) ? undefined : retentionMessage), {
  maxLength: 5,
  rule: matches(retentionPattern.source),
  message: retentionMessage,
});

/** A length of time of at least a minute, in one unit. */
export const length = z
  .string()
  .regex(/^[1-9][0-9]{0,3}[mhd]$/, 'has to be a number of minutes, hours or days: 30m, 4h, 2d');
