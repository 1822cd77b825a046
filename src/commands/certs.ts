import { type Command, Option } from 'commander';
import { type CertificateStatus, certificateStatus, day, renewCertificates } from '../certificates.ts';
import { table } from '../ui/table.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  connect,
  interruption,
  outputOption,
  parseDuration,
  reporterOf,
} from './connection.ts';

export function configure(command: Command): void {
  const child = (name: string, description: string) =>
    addConnectionOptions(command.command(name).description(description).helpOption('--help', 'show help'));
  child('status', 'every certificate, and how long it lives; exit code 1 when one has less than 30 days left')
    .addOption(
      new Option('--output <FORMAT>', 'text, wide (with subjects and names) or json')
        .choices(['text', 'wide', 'json'])
        .default('text'),
    )
    .action(status);
  addOutputOptions(child('renew', 'make certificates anew; nothing is restarted, the API goes on answering'))
    .option('--name <NAME...>', 'only these, by the names that certs status shows')
    .option('--timeout <TIME>', 'how long the API server may take to show its new one', '4m')
    .addOption(outputOption())
    .action(renew);
}

async function status(options: ConnectionOptions & { output: 'text' | 'wide' | 'json' }): Promise<void> {
  const cluster = connect(options);
  try {
    const certificates = await certificateStatus(cluster);
    process.stdout.write(
      options.output === 'json'
        ? `${JSON.stringify(certificates, null, 2)}\n`
        : `${render(certificates, options.output === 'wide')}\n`,
    );
    if (certificates.some(({ nearItsEnd }) => nearItsEnd)) process.exitCode = 1;
  } finally {
    await cluster.close();
  }
}

/** Pure. */
export function render(certificates: CertificateStatus[], wide: boolean): string {
  const near = certificates.filter(({ nearItsEnd }) => nearItsEnd);
  const advice = near.some(({ kind }) => kind === 'authority')
    ? ['An authority is near its end; what it signed ends with it.']
    : near.length > 0
      ? ['k8sk8s certs renew makes those near their end anew, and so does deploy.']
      : [];
  return [
    table(
      ['NAME', 'DAYS', 'UNTIL', 'ISSUER', 'SECRET', 'USED FOR', 'AT ITS END', ...(wide ? ['SUBJECT', 'NAMES'] : [])],
      certificates.map((each) => [
        each.name,
        each.nearItsEnd ? `${each.days} !` : String(each.days),
        day(each.notAfter),
        each.issuer,
        each.secret,
        each.usedFor,
        each.atItsEnd,
        ...(wide ? [each.subject, each.names.join(', ')] : []),
      ]),
    ),
    ...advice,
  ].join('\n');
}

async function renew(options: ConnectionOptions & { name?: string[]; timeout: string; output: string }): Promise<void> {
  const signal = interruption();
  const timeout = parseDuration(options.timeout, '--timeout');
  const reporter = reporterOf(options);
  const cluster = connect(options);
  try {
    const renewed = await renewCertificates(cluster, options.name ?? [], { reporter, timeout, signal });
    if (renewed.names.some((name) => name !== 'apiserver' && name !== 'admin'))
      reporter.line('The others are read again by whoever uses them within two minutes; until then the old ones hold.');
    if (renewed.names.includes('admin'))
      reporter.line(
        'tls/kubeconfig still has the one before, which stays valid until its end: k8sk8s kubeconfig writes the new one.',
      );
    if (options.output === 'json') process.stdout.write(`${JSON.stringify(renewed, null, 2)}\n`);
  } finally {
    await cluster.close();
  }
}
