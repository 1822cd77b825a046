import { asTexts, entryOf, type Fields } from './fields.ts';

/** https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/, as far as it is read. */
interface AuditEvent {
  auditID: string;
  stage: string;
  requestURI: string;
  verb: string;
  user?: { username?: string; groups?: string[] };
  impersonatedUser?: { username?: string };
  sourceIPs?: string[];
  userAgent?: string;
  objectRef?: {
    resource?: string;
    subresource?: string;
    namespace?: string;
    name?: string;
    apiGroup?: string;
    apiVersion?: string;
  };
  responseStatus?: { code?: number; reason?: string; message?: string };
  requestObject?: unknown;
  responseObject?: unknown;
  requestReceivedTimestamp?: string;
  stageTimestamp?: string;
  annotations?: Record<string, string>;
}

/** What an audit event of an API server says; undefined of any other line. Pure. */
export function auditFields(line: string): Fields | undefined {
  const event = entryOf<AuditEvent>(line, '{"kind":"Event","apiVersion":"audit.k8s.io/');
  if (event === undefined) return undefined;
  const { objectRef: object = {}, responseStatus: answer = {}, annotations = {} } = event;
  const { 'authorization.k8s.io/decision': decision, 'authorization.k8s.io/reason': why, ...more } = annotations;
  const durationMs = durationOf(event);
  return present({
    type: 'audit',
    level: levelOf(answer.code),
    _msg: sentenceOf(event),
    auditID: event.auditID,
    stage: event.stage,
    verb: event.verb,
    user: event.user?.username,
    groups: event.user?.groups?.join(','),
    impersonatedUser: event.impersonatedUser?.username,
    sourceIP: event.sourceIPs?.join(','),
    userAgent: event.userAgent,
    apiGroup: object.apiGroup,
    resource: object.resource,
    subresource: object.subresource,
    namespace: object.namespace,
    name: object.name,
    uri: event.requestURI,
    code: answer.code === undefined ? undefined : String(answer.code),
    reason: answer.reason,
    message: answer.message,
    decision,
    decisionReason: why,
    received: event.requestReceivedTimestamp,
    durationMs: durationMs === undefined ? undefined : String(durationMs),
    requestObject: event.requestObject === undefined ? undefined : JSON.stringify(event.requestObject),
    responseObject: event.responseObject === undefined ? undefined : JSON.stringify(event.responseObject),
    ...Object.fromEntries(Object.entries(more).map(([name, value]) => [`annotation.${name}`, value])),
  });
}

/** `anna delete pods team-a/web: 200` */
function sentenceOf({ user, impersonatedUser, verb, objectRef, requestURI, responseStatus }: AuditEvent): string {
  const who = user?.username || 'somebody unknown';
  const as = impersonatedUser?.username ? ` as ${impersonatedUser.username}` : '';
  const what = objectRef?.resource
    ? [
        [objectRef.resource, objectRef.subresource].filter(Boolean).join('/'),
        [objectRef.namespace, objectRef.name].filter(Boolean).join('/'),
      ]
    : [requestURI];
  const code = responseStatus?.code === undefined ? '' : `: ${responseStatus.code}`;
  return `${who}${as} ${[verb, ...what].filter(Boolean).join(' ')}${code}`;
}

function levelOf(code = 200): string {
  if (code >= 500) return 'error';
  return code === 401 || code === 403 ? 'warn' : 'info';
}

function durationOf({ requestReceivedTimestamp, stageTimestamp, stage }: AuditEvent): number | undefined {
  if (stage !== 'ResponseComplete' || !requestReceivedTimestamp || !stageTimestamp) return undefined;
  const milliseconds = Date.parse(stageTimestamp) - Date.parse(requestReceivedTimestamp);
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}

function present(fields: Record<string, unknown>): Fields {
  return asTexts(Object.fromEntries(Object.entries(fields).filter(([, value]) => Boolean(value))));
}
