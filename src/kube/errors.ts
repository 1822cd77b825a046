import { messageOf, UserError } from '../base/errors.ts';
import { again, command, option, type Words, words } from '../base/words.ts';

/** The fields of a `Status` object that k8sk8s reads. */
export interface KubeStatus {
  kind?: string;
  status?: string;
  reason?: string;
  message?: string;
  details?: { causes?: { reason?: string; field?: string; message?: string }[] };
}

/** Which of the two clusters was asked: what its refusal means depends on it. */
export type ClusterRole = 'infra' | 'hosted';

/** A `Status` answer of an API server (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/). */
export class ApiError extends Error {
  readonly status: number;
  /** `NotFound`, `Forbidden`, `AlreadyExists`, `Conflict`, `Invalid`, … or '' when the answer was no Status. */
  readonly reason: string;
  readonly causes: { reason?: string; field?: string; message?: string }[];
  readonly retryAfterSeconds: number | undefined;
  readonly of: ClusterRole;

  constructor(init: {
    status: number;
    reason: string;
    message: string;
    causes?: { reason?: string; field?: string; message?: string }[];
    retryAfterSeconds?: number;
    of?: ClusterRole;
  }) {
    super(init.message);
    this.name = 'ApiError';
    this.status = init.status;
    this.reason = init.reason;
    this.causes = init.causes ?? [];
    this.retryAfterSeconds = init.retryAfterSeconds;
    this.of = init.of ?? 'infra';
  }
}

/** The request never got an HTTP answer: no route, refused, reset, TLS not verified, or too slow. */
export class ConnectionError extends Error {
  readonly code: string;
  readonly server: string;
  readonly of: ClusterRole;
  /** The proxy that the connection goes through, without its password. */
  readonly proxy: string | undefined;
  /** Whose certificates the server's is judged by. */
  readonly trust: 'kubeconfig' | 'system';

  constructor(
    server: string,
    code: string,
    message: string,
    options: { cause?: unknown; of?: ClusterRole; proxy?: string; trust?: 'kubeconfig' | 'system' } = {},
  ) {
    super(options.proxy === undefined ? message : `${message} (through the proxy ${options.proxy})`, {
      cause: options.cause,
    });
    this.name = 'ConnectionError';
    this.code = code;
    this.server = server;
    this.of = options.of ?? 'infra';
    this.proxy = options.proxy;
    this.trust = options.trust ?? 'kubeconfig';
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404;
export const isConflict = (error: unknown): boolean => error instanceof ApiError && error.status === 409;
/**
 * A right that the caller lacks, read off the API server's own sentence: a 403 can also be quota, pod security or a
 * webhook speaking, which is something else altogether.
 *
 * @returns undefined when `error` is no refusal of the authorizer
 */
export function missingRight(error: unknown): { verb: string; resource: string; namespace?: string } | undefined {
  if (!isForbidden(error)) return undefined;
  const sentence = /User ".*" cannot (\w+) resource "([^"]+)"(?:.* in the namespace "([^"]+)")?/;
  const [, verb, resource, namespace] = sentence.exec((error as ApiError).message) ?? [];
  return verb === undefined || resource === undefined ? undefined : { verb, resource, namespace };
}

/** A 403 that is not the authorizer's: a ResourceQuota of the namespace leaves no room. */
export const isQuotaExceeded = (error: unknown): boolean =>
  isForbidden(error) && (error as ApiError).message.includes('exceeded quota');
/** The object is not valid; also a field that may not change. */
export const isInvalid = (error: unknown): boolean => error instanceof ApiError && error.status === 422;
export const isForbidden = (error: unknown): boolean => error instanceof ApiError && error.status === 403;

/** It may have been acted upon and it may not: no answer came, or one that tells of a failure of the server's own. */
export const isUncertain = (error: unknown): boolean =>
  error instanceof ConnectionError || (error instanceof ApiError && error.status >= 500);

/** Code of a ConnectionError: an answer came, and it was not the JSON that an API server sends, or not all of it. */
export const notJson = 'NOT_JSON';

/** Whether a connection failed, by Node's code, because the certificate that was shown is not trusted. */
export const isUntrusted = (code: string): boolean =>
  /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT)/.test(code);

/** What a lost or refused connection to a hosted cluster's address means, in a few words. */
export function describeConnectionError(error: ConnectionError): string {
  const known = hostedWords[error.code];
  if (known !== undefined) return known;
  return isUntrusted(error.code) ? 'something else answers at the address' : error.message;
}

/** By Node's codes. */
const hostedWords: Record<string, string> = {
  CERT_HAS_EXPIRED: 'it still shows a certificate that has expired',
  ECONNREFUSED: 'nothing listens at the address',
  ECONNRESET: 'the connection is closed at once, as an ingress controller does while no API server runs behind it',
  ENOTFOUND: 'the host name does not resolve',
  EAI_AGAIN: 'the host name does not resolve (the DNS server did not answer)',
  ETIMEDOUT: 'the address does not answer',
  EHOSTUNREACH: 'there is no route to the address',
  ENETUNREACH: 'there is no route to the address',
};

/**
 * What a failed call to either cluster means for its user; what is no failed call comes back as it is.
 *
 * @param doing what was being tried, in words that follow "cannot": `read the services of namespace "x"`
 */
export function explainCallError(error: unknown, doing: string): unknown {
  const known = error instanceof ConnectionError || error instanceof ApiError;
  return known && error.of === 'hosted' ? explainHostedError(error, doing) : explainInfraError(error, doing);
}

/** What of a cluster's own rules refused a write, or could not be asked about it. */
export interface Obstacle {
  kind: 'webhook' | 'policy';
  name: string;
  /** Of a policy, where one is named. */
  binding?: string;
}

/**
 * Read off the API server's own sentence. Names alone are taken from it: it can hold words of whoever made the rule, and what is
 * shown as a command must be none of theirs.
 *
 * @returns undefined when `error` speaks of no webhook and of no policy
 */
export function obstacleOf({ message }: ApiError): Obstacle | undefined {
  const [, webhook] = /(?:failed calling|admission) webhook "([a-z0-9.-]+)"/.exec(message) ?? [];
  const [, name, binding] =
    /ValidatingAdmissionPolicy '([a-z0-9.-]+)'(?: with binding '([a-z0-9.-]+)')? denied request/.exec(message) ?? [];
  if (webhook !== undefined) return { kind: 'webhook', name: webhook };
  return name === undefined ? undefined : { kind: 'policy', name, binding };
}

/** Some webhooks cannot be asked by a dry run, which tells nothing of what they say to a write. */
export const isNoDryRun = ({ message }: ApiError): boolean => message.includes('does not support dry run');

/**
 * How a person gets past an obstacle. The API server asks no webhook about configurations of webhooks, and no policy about policies.
 *
 * @param configuration of a webhook, where it is known: `validatingwebhookconfiguration NAME`
 */
export function fixOfObstacle({ kind, name, binding }: Obstacle, configuration?: string): string {
  const target =
    configuration ??
    (kind === 'webhook'
      ? 'validatingwebhookconfiguration or mutatingwebhookconfiguration NAME'
      : binding === undefined
        ? `validatingadmissionpolicy ${name}`
        : `validatingadmissionpolicybinding ${binding}`);
  const how = kind === 'webhook' ? 'mend' : 'change';
  return `${how} ${kind} ${name} of the hosted cluster, or delete it there, about which no ${kind} is asked: kubectl delete ${target}`;
}

function explainHostedError(error: ConnectionError | ApiError, doing: string): UserError {
  if (error instanceof ConnectionError)
    return new UserError({
      what: `the hosted cluster cannot be reached at ${error.server}`,
      why: [...new Set([describeConnectionError(error), messageOf(error)])].join(': '),
      fix: words`${command('status')}, with the same ${option('namespace')}, names what is not well; ${again} when it is: it goes on where it stopped`,
      anchor: 'plane-unreachable',
      cause: error,
    });
  const said = {
    what: `cannot ${doing}`,
    why: `the hosted cluster's API server answered ${error.status} ${error.reason || 'without a reason'}: ${error.message}`,
    cause: error,
  };
  const obstacle = obstacleOf(error);
  if (obstacle)
    return new UserError({
      ...said,
      what: `${obstacle.kind} ${obstacle.name} of the hosted cluster is in the way of what this command writes there`,
      fix: words`${fixOfObstacle(obstacle)}; then ${again}`,
      anchor: 'hosted-refused',
    });
  // Not from the API server itself, which answers by a Status: from whoever is to serve a group of APIs in its place.
  if (error.status === 503 && error.reason === '')
    return new UserError({
      ...said,
      fix: words`look at kubectl get apiservices in the hosted cluster: where a group of Kubernetes' own, such as v1.apps, names a service and not Local, delete that APIService; then ${again}`,
      anchor: 'hosted-api-error',
    });
  if (error.status === 429 || error.status >= 500)
    return new UserError({
      ...said,
      fix: words`${again}; it goes on where it stopped`,
      anchor: 'hosted-api-error',
    });
  return new UserError({
    ...said,
    fix: words`if a quota or an authorizer of the hosted cluster forbids it, allow it and ${again}; of a plane with a sealed CA, give ${option('sealFile')}: without it k8sk8s is what the ClusterRoleBinding k8sk8s:cluster-admins allows, and deploy puts that back`,
    anchor: 'hosted-refused',
  });
}

function explainInfraError(error: unknown, doing: string): unknown {
  if (error instanceof ConnectionError) return explainConnection(error);
  if (!(error instanceof ApiError)) return error;
  const what = `cannot ${doing}`;
  const why = `the infra cluster's API server answered ${error.status} ${error.reason || 'without a reason'}: ${error.message}`;
  switch (error.status) {
    case 401:
      return new UserError({
        what: 'the infra cluster does not accept the credentials of this kubeconfig',
        why: 'its API server answered 401 Unauthorized: the certificate or token has expired, or belongs to another cluster',
        fix: words`get a fresh kubeconfig, or choose another one with ${option('kubeconfig')} or ${option('context')}`,
        anchor: 'infra-unauthorized',
        kind: 'refused',
        cause: error,
      });
    case 403:
      return withoutRight(error, what, why);
    case 409:
      return new UserError({
        what,
        why,
        fix: words`somebody else changed the same object; ${again}`,
        anchor: 'conflict',
        cause: error,
      });
    case 422:
    case 400:
      return new UserError({
        what,
        why,
        fix: 'the values named above are not allowed there: change the option they come from',
        anchor: 'rejected',
        cause: error,
      });
    case 429:
      return new UserError({
        what,
        why,
        fix: error.retryAfterSeconds
          ? words`it asks to wait ${error.retryAfterSeconds} s; then ${again}, it goes on where it stopped`
          : words`it has too much to do: wait a minute and ${again}, it goes on where it stopped`,
        anchor: 'infra-api-error',
        cause: error,
      });
    default:
      return new UserError({
        what,
        why,
        fix: words`${again}; it goes on where it stopped`,
        anchor: 'infra-api-error',
        cause: error,
      });
  }
}

function withoutRight(error: ApiError, what: string, why: string): UserError {
  const right = missingRight(error);
  const ask = 'ask the administrator of the infra cluster for the rights listed in the README under "Rights"';
  return new UserError({
    // To those without any right in it, the API server does not tell whether a namespace is there.
    what: right?.namespace
      ? `${what}: in namespace "${right.namespace}" you may not ${right.verb} ${right.resource}, or there is no such namespace`
      : what,
    why,
    fix: right?.namespace
      ? words`look whether the namespace is the right one (${option('namespace')}); if it is, ${ask}`
      : ask,
    anchor: 'rights',
    cause: error,
  });
}

function explainConnection(error: ConnectionError): UserError {
  const { server, code, proxy } = error;
  const known: Record<string, [why: string, fix: Words]> = {
    ECONNREFUSED: [
      'nothing listens at that address and port',
      words`start the cluster, or choose another one with ${option('kubeconfig')} or ${option('context')}`,
    ],
    ENOTFOUND: ['its host name does not resolve', 'check the server address in the kubeconfig, the DNS and the VPN'],
    EAI_AGAIN: ['its host name does not resolve (the DNS server did not answer)', 'check the DNS and the VPN'],
    ETIMEDOUT: [
      'it did not answer in time',
      'check the network, the VPN and the firewall between here and the cluster',
    ],
    ECONNRESET: [
      'it closed the connection',
      words`${again}; if it goes on, look at the API server and what stands in front of it`,
    ],
    [notJson]: [
      `what answers is not an API server, or its answers do not come whole (${messageOf(error)})`,
      words`look at what stands between here and the cluster: a proxy, a sign-in page, a VPN; then ${again}`,
    ],
    EHOSTUNREACH: ['there is no route to that address', 'check the network and the VPN'],
    ENETUNREACH: ['there is no route to that address', 'check the network and the VPN'],
  };
  if (isUntrusted(code)) {
    const bySystem = error.trust === 'system';
    return new UserError({
      what: `the infra cluster's API server at ${server} shows a certificate that ${bySystem ? 'the CA store of this machine' : 'this kubeconfig'} does not trust`,
      why: bySystem ? `${error.message}; the kubeconfig names no CA, so the machine's own count` : error.message,
      fix: bySystem
        ? "put the server's CA into the kubeconfig (certificate-authority-data), or into a file that SSL_CERT_FILE names"
        : 'the kubeconfig belongs to another cluster, or its certificate-authority-data is old: get a fresh one',
      anchor: 'infra-tls',
      kind: 'refused',
      cause: error,
    });
  }
  if (proxy !== undefined && code !== notJson)
    return new UserError({
      what: `the infra cluster's API server at ${server} cannot be reached through the proxy ${proxy}`,
      why: messageOf(error.cause ?? error),
      fix: 'check the proxy: it comes from proxy-url in the kubeconfig, else from HTTPS_PROXY or HTTP_PROXY; NO_PROXY names what is reached without it',
      anchor: 'infra-proxy',
      kind: 'refused',
      cause: error,
    });
  const [why, fix] = known[code] ?? [messageOf(error), 'check the server address in the kubeconfig and the network'];
  return new UserError({
    what:
      code === notJson
        ? `what answers at ${server} does not answer as the infra cluster's API server`
        : `the infra cluster's API server at ${server} cannot be reached`,
    why,
    fix,
    anchor: 'infra-unreachable',
    kind: 'refused',
    cause: error,
  });
}
