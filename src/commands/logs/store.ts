import type { Command } from 'commander';
import { dump } from 'js-yaml';
import { didYouMean } from '../../base/did-you-mean.ts';
import { UserError } from '../../base/errors.ts';
import { fixedTime } from '../../base/fixed-time.ts';
import type { ClusterSpecInput } from '../../config/schema.ts';
import { LogStore, type StoredLine } from '../../live/log-store.ts';
import { requireRecord } from '../../live/record.ts';
import { openPage } from '../../operations/log-store/open.ts';
import { findQuery, linkTo, type SavedQuery, savedQueries, within } from '../../operations/log-store/queries.ts';
import { logRightsObjects, switchLogs } from '../../operations/log-store/switch.ts';
import { logStoreUser } from '../../plane/beside/log-store/log-store.ts';
import { printable } from '../../ui/printable.ts';
import { table } from '../../ui/table.ts';
import {
  addOutputOptions,
  addPlaneCommand,
  type ConnectionOptions,
  connect,
  interruption,
  outputOption,
  parseDuration,
  reporterOf,
  runChange,
  withInfra,
} from '../options/connection.ts';
import { print } from '../options/print.ts';

/** What of `logs` is about the store that keeps them. Options that `logs` has too are read by it, wherever they stand. */
export function configureStore(command: Command): void {
  addOutputOptions(addPlaneCommand(command, 'enable', "keep the plane's logs and audit events from now on"))
    .option('--logs-storage <SIZE|HOW>', 'as of deploy')
    .option('--logs-retention <TIME>', 'as of deploy')
    .option('--log-store-image <IMAGE>', 'as of deploy')
    .option('--rights', 'print the objects that the administrator of the infra cluster makes for it')
    .option('--timeout <TIME>', 'how long it may take', '2m')
    .action((_, self: Command) => enable(self.optsWithGlobals()));
  addOutputOptions(addPlaneCommand(command, 'disable', 'keep no logs any more; a volume with logs stays'))
    .option('--timeout <TIME>', 'how long it may take', '2m')
    .action((_, self: Command) => disable(self.optsWithGlobals()));
  addPlaneCommand(command, 'open', 'lead a port of this machine to the page of the logs')
    .argument('[QUESTION...]', 'of logs query: the link that shows it')
    .option('--port <PORT>', 'port of this machine', '0')
    .action((words: string[], _, self: Command) => open(words, self.optsWithGlobals()));
  addPlaneCommand(command, 'query', 'ask the logs that are kept; without a name it lists the saved questions')
    .argument('[QUESTION...]', "'who deleted' NAMESPACE/NAME and the like")
    .option('--logsql <QUERY>', 'a query in LogsQL instead of a saved one')
    .option('--since <TIME>', 'only lines of the last 10m, 1h, …', '24h')
    .option('--limit <N>', 'lines at most, the newest', '200')
    .option('--show', 'print the query in LogsQL, and ask nobody')
    .addOption(outputOption())
    .action((words: string[], _, self: Command) => query(words, self.optsWithGlobals()));
}

interface EnableOptions extends ConnectionOptions {
  timeout: string;
  rights?: boolean;
  logsStorage?: string;
  logsRetention?: string;
  logStoreImage?: string;
}

async function enable(options: EnableOptions): Promise<void> {
  if (options.rights) return printRights(options);
  const { logsStorage, logsRetention, logStoreImage } = options;
  const settings = { logs: true, logsStorage, logsRetention, logStoreImage } as ClusterSpecInput;
  await runChange(options, async (cluster, work) => {
    const { ready } = await switchLogs(cluster, settings, work);
    if (!ready) process.exitCode = 1;
    else
      work.reporter.line(
        `Ask them: k8sk8s logs query -n ${cluster.namespace}; see them: k8sk8s logs open -n ${cluster.namespace}`,
      );
  });
}

async function printRights(options: ConnectionOptions): Promise<void> {
  const cluster = connect(options);
  await cluster.close();
  for (const object of logRightsObjects(cluster.namespace))
    process.stdout.write(`---\n${dump(object, { noRefs: true })}`);
}

async function disable(options: ConnectionOptions & { timeout: string }): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const { applied } = await switchLogs(cluster, { logs: false }, work);
    work.reporter.line(
      applied.changed.length > 0 ? 'The logs are not kept any more.' : 'Nothing to do: the plane keeps no logs.',
    );
  });
}

async function open(words: string[], options: ConnectionOptions & { port: string }): Promise<void> {
  const asked = words.length > 0 ? saved(words) : undefined;
  const port = Number(options.port);
  if (!/^\d+$/.test(options.port) || port > 65_535)
    throw badValue(`--port "${options.port}" is not a port`, 'write for example --port 9428');
  const signal = interruption();
  await withInfra(options, async (cluster) => {
    const reporter = reporterOf(options);
    const record = await requireRecord(cluster);
    const page = await openPage(cluster, record, port, (words) => reporter.warn(words));
    const links = savedQueries.filter(({ argument }) => argument === undefined || argument.optional);
    print({}, undefined, () =>
      [
        `${page.address}/select/vmui/`,
        `user ${logStoreUser}, password ${page.password}`,
        '',
        asked
          ? linkTo(page.address, asked.logsql)
          : table(
              ['QUESTION', 'PAGE'],
              links.map(({ name, logsql }) => [name, linkTo(page.address, logsql())]),
            ),
      ].join('\n'),
    );
    reporter.line('Whoever has the rights of the namespace gets in so, and nobody else. Ctrl-C ends it.');
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await page.close();
  });
}

interface QueryOptions extends ConnectionOptions {
  logsql?: string;
  since: string;
  limit: string;
  show?: boolean;
  output: string;
}

async function query(words: string[], options: QueryOptions): Promise<void> {
  if (words.length === 0 && options.logsql === undefined) return listQueries(options);
  const { logsql, start, columns } = chosen(words, options);
  if (options.show) return void process.stdout.write(`${logsql}\n`);
  const limit = Number(options.limit);
  if (!/^[1-9]\d*$/.test(options.limit))
    throw badValue(`--limit "${options.limit}" is not a number of lines`, 'write for example --limit 100');
  await withInfra(options, async (cluster) => {
    const record = await requireRecord(cluster);
    const store = await LogStore.of(cluster, record);
    const lines: StoredLine[] = [];
    for await (const line of store.query(logsql, { limit, start }, interruption())) lines.push(line);
    if (lines.every(({ _time }) => _time !== undefined)) lines.sort(byTime);
    print(options, lines, () => (lines.length > 0 ? rendered(lines, columns) : undefined));
    if (lines.length === 0) reporterOf(options).line(`Nothing of that kind in the last ${options.since}.`);
  });
}

const byTime = (a: StoredLine, b: StoredLine) => fixedTime(a._time!).localeCompare(fixedTime(b._time!));

interface Chosen {
  logsql: string;
  /** Of a query that a person wrote, which may be of several alternatives: what it says is searched from here on alone. */
  start?: Date;
  columns?: string[];
}

/** @throws UserError (kind `usage`) */
export function chosen(words: string[], { logsql, since }: Pick<QueryOptions, 'logsql' | 'since'>): Chosen {
  const milliseconds = parseDuration(since, '--since');
  if (logsql !== undefined && words.length > 0)
    throw badValue('--logsql and a saved question are two queries', 'leave one of them out');
  if (logsql !== undefined) return { logsql, start: new Date(Date.now() - milliseconds) };
  const { logsql: asked, columns } = saved(words);
  // A number alone means seconds here, and a year in LogsQL.
  return { logsql: within(/\d$/.test(since) ? `${since}s` : since, asked), columns };
}

/** @throws UserError (kind `usage`) */
function saved(words: string[]): { logsql: string; columns?: string[] } {
  const found = findQuery(words);
  if (!found)
    throw badValue(
      `"${words.join(' ')}" is no saved question${didYouMean(
        words.join(' '),
        savedQueries.map(({ name }) => name),
      )}`,
      'k8sk8s logs query without a name lists them; --logsql QUERY asks any other',
    );
  return { logsql: found.query.logsql(argumentOf(found.query, found.rest)), columns: found.query.columns };
}

function argumentOf({ name, argument }: SavedQuery, rest: string[]): string | undefined {
  if (rest.length > 1 || (rest.length === 1 && !argument))
    throw badValue(
      `"${name}" takes ${argument ? `one ${argument.name}` : 'nothing else'}, and not ${rest.join(' ')}`,
      'leave the rest out',
    );
  if (rest.length === 0 && argument && !argument.optional)
    throw badValue(`"${name}" needs ${argument.name}`, `write k8sk8s logs query '${name} ${argument.name}'`);
  if (argument?.name === 'MILLISECONDS' && rest[0] !== undefined && !/^\d+$/.test(rest[0]))
    throw badValue(`"${rest[0]}" is not a number of milliseconds`, 'write for example 500');
  return rest[0];
}

function listQueries(options: QueryOptions): void {
  const rows = savedQueries.map(({ name, argument, asks }) => {
    const of = argument ? ` ${argument.optional ? `[${argument.name}]` : argument.name}` : '';
    return { question: `${name}${of}`, asks };
  });
  print(options, rows, () =>
    table(
      ['QUESTION', 'WHAT IT ASKS'],
      rows.map(({ question, asks }) => [question, asks]),
    ),
  );
}

/** Characters of a field on a screen; JSON has all of them. */
const widest = 240;

/** Columns where the question has some; else the sentence of each line behind its time and where it is from. Pure. */
export function rendered(lines: StoredLine[], columns?: string[]): string {
  const known = columns ?? (lines.some(({ _msg }) => _msg !== undefined) ? undefined : Object.keys(lines[0]!));
  const cell = (line: StoredLine, name: string) => shown(name, line[name] ?? '');
  if (known)
    return table(
      known.map(headingOf),
      lines.map((line) => known.map((name) => cell(line, name))),
    );
  // A line of the screen is one line of the log, whoever wrote it.
  return lines
    .map((line) => ['_time', 'component', '_msg'].map((name) => printable(cell(line, name))).join('  '))
    .join('\n');
}

/** A time to the millisecond, and of long texts the beginning. */
function shown(name: string, text: string): string {
  // A query of one's own may leave it out.
  if (name === '_time' && text !== '') return fixedTime(text).replace(/(\.\d{3})\d*Z$/, '$1Z');
  return text.length > widest ? `${text.slice(0, widest)}…` : text;
}

function headingOf(field: string): string {
  return { _time: 'TIME', _msg: 'MESSAGE', sourceIP: 'FROM', userAgent: 'PROGRAM' }[field] ?? field.toUpperCase();
}

function badValue(what: string, fix: string): UserError {
  return new UserError({ what, fix, anchor: 'bad-values', kind: 'usage' });
}
