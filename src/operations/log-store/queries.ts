/** What one asks of a control plane, as a query of the store that keeps its logs. */
export interface SavedQuery {
  name: string;
  /** The question, for people. */
  asks: string;
  /** What it is about, and whether it does without. */
  argument?: { name: string; optional?: true };
  /** In LogsQL (https://docs.victoriametrics.com/victorialogs/logsql/). */
  logsql(argument?: string): string;
  /** Fields that are shown; of all others the sentence of the line, with its time. */
  columns?: string[];
}

const audit = 'type:=audit';
const columnsOfAudit = ['_time', 'user', 'verb', 'resource', 'namespace', 'name', 'code', 'sourceIP', 'userAgent'];

/** A value as it stands in a query, whatever is in it. */
const exactly = (value: string) => `=${JSON.stringify(value)}`;

/** `NAMESPACE/NAME`, or the name of what is in no namespace. */
function objectNamed(text: string): string {
  const slash = text.indexOf('/');
  const [namespace, name] = slash < 0 ? ['', text] : [text.slice(0, slash), text.slice(slash + 1)];
  return `namespace:${exactly(namespace)} (name:${exactly(name)} or verb:=deletecollection)`;
}

export const savedQueries: SavedQuery[] = [
  {
    name: 'who deleted',
    asks: 'who deleted an object, NAMESPACE/NAME, or NAME of one without a namespace',
    argument: { name: 'NAMESPACE/NAME' },
    logsql: (object) => `${audit} verb:in(delete, deletecollection) ${objectNamed(object!)}`,
    columns: columnsOfAudit,
  },
  {
    name: 'who changed',
    asks: 'who created, changed or deleted an object',
    argument: { name: 'NAMESPACE/NAME' },
    logsql: (object) => `${audit} verb:in(create, update, patch, delete, deletecollection) ${objectNamed(object!)}`,
    columns: columnsOfAudit,
  },
  {
    name: 'who was refused',
    asks: 'who was told 401 or 403, and why',
    argument: { name: 'USER', optional: true },
    logsql: (user) =>
      `${audit} code:in(401, 403)${user === undefined ? '' : ` (user:${exactly(user)} or impersonatedUser:${exactly(user)})`}`,
    columns: ['_time', 'user', 'impersonatedUser', 'verb', 'uri', 'code', 'sourceIP', 'decisionReason'],
  },
  {
    name: 'what is slow',
    asks: 'requests that took longer than MILLISECONDS (1000), watches and streams aside, and traces of the API server',
    argument: { name: 'MILLISECONDS', optional: true },
    logsql: (milliseconds = '1000') =>
      `durationMs:>=${Number(milliseconds)} (trace:* or (${audit} !verb:in(watch, connect) !subresource:in(exec, attach, portforward, proxy, log)))`,
    columns: ['_time', 'durationMs', '_msg'],
  },
  {
    name: 'which webhook fails',
    asks: 'admission webhooks and conversions that the API server could not call, or that answered wrongly',
    logsql: () =>
      '_msg:~"(?i)failed (calling|to call) webhook|failed calling conversion webhook|conversion webhook for .* failed"',
  },
  {
    name: 'which client floods',
    asks: 'who asks most, by user, program and what for; the audit policy leaves reads of the control plane itself out',
    logsql: () => `${audit} | stats by (user, userAgent, verb, resource) count() as requests | sort by (requests desc)`,
    columns: ['requests', 'user', 'verb', 'resource', 'userAgent'],
  },
  {
    name: 'leader changes',
    asks: 'elections of etcd, and of controller-manager and scheduler where there are several of each',
    // Of raft's node.go, of client-go's leaderelection.go, and of who runs with it: kube-scheduler says "Leaderelection lost", kube-controller-manager "leaderelection lost/stopped".
    logsql: () =>
      '_msg:~"(?i)became leader|elected leader|lost leader|changed leader|leader changed|successfully acquired lease|leaderelection lost|failed to renew lease|lost lease"',
    columns: ['_time', 'pod', '_msg'],
  },
  {
    name: 'certificate errors',
    asks: "certificates that were refused; clients that refuse the API server's own are in its log at --v=5 only",
    logsql: () => '_msg:~"x509:|remote error: tls|bad certificate|TLS handshake error|certificate has expired|tls: "',
  },
  {
    name: 'etcd slow disk',
    asks: 'etcd that waits for its volume, or for another member',
    logsql: () =>
      'component:=etcd _msg:~"slow fdatasync|apply request took too long|failed to send out heartbeat on time|took too long to execute|waiting for ReadIndex response took too long"',
  },
  {
    name: 'errors',
    asks: "lines of the level error or fatal, and the API server's answers of 500 and above",
    logsql: () => 'level:in(error, fatal)',
    columns: ['_time', 'component', '_msg'],
  },
  {
    name: 'what is missing',
    asks: 'where lines may be missing here',
    logsql: () => 'type:=loss',
  },
];

/**
 * The saved query that words are of: `who deleted team/web`, `who-deleted team/web`, in one word of the shell or several. Pure.
 *
 * @returns undefined where they are of none
 */
export function findQuery(words: string[]): { query: SavedQuery; rest: string[] } | undefined {
  const all = words.flatMap((word) => word.split(/\s+/)).filter((word) => word !== '');
  const text = [all.join(' '), [all[0]?.replaceAll('-', ' '), ...all.slice(1)].join(' ')];
  for (const query of savedQueries) {
    const said = text.find((each) => each === query.name || each.startsWith(`${query.name} `));
    if (said !== undefined)
      return {
        query,
        rest: said
          .slice(query.name.length)
          .split(' ')
          .filter((word) => word !== ''),
      };
  }
  return undefined;
}

/** Where the page of the store shows a query of the last day, at its address. Pure. */
export function linkTo(address: string, logsql: string): string {
  const query = new URLSearchParams({ query: logsql, 'g0.relative_time': 'last_24_hours' });
  return `${address}/select/vmui/#/?${query}`;
}

/** A saved query, whose filters all have to hold, within a time. Pure. @param since with a unit, `90s` */
export function within(since: string, logsql: string): string {
  return `_time:${since} ${logsql}`;
}
