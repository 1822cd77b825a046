import { type Command, Option } from 'commander';
import { type CertificateStatus, certificateStatus, renewCertificates } from '../operations/keys/certificates.ts';
import { type ExposedStatus, exposedStatus, rotateExposed } from '../operations/keys/rotate-all.ts';
import { rotateAuthorities } from '../operations/keys/rotate-ca/rotate-ca.ts';
import type { RotationRequest } from '../operations/keys/rotate-ca/rotation.ts';
import { type RotationStatus, rotatable, rotationStatus } from '../operations/keys/rotate-ca/rotation-status.ts';
import { type KeyStatus, keyStatus, rotateServiceAccountKey } from '../operations/keys/service-account-key.ts';
import type { AuthorityName } from '../pki/table.ts';
import { day } from '../rollout/renew-leaves.ts';
import { table } from '../ui/table.ts';
import { inTerminal } from '../ui/words.ts';
import { confirm } from './options/confirm.ts';
import {
  addOutputOptions,
  addPlaneCommand,
  type ConnectionOptions,
  outputOption,
  runChange,
  withInfra,
} from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  const child = (name: string, description: string) => addPlaneCommand(command, name, description);
  child('status', 'list every certificate and when it expires; exit code 1 when one expires within 30 days')
    .addOption(
      new Option('--output <FORMAT>', 'text, wide (with subjects and names) or json')
        .choices(['text', 'wide', 'json'])
        .default('text'),
    )
    .action(status);
  addOutputOptions(child('renew', 'renew certificates; nothing is restarted, and the API keeps answering'))
    .option('--name <NAME...>', 'renew only these certificates, by the names in certs status')
    .option('--timeout <TIME>', 'how long the API server may take to present its new certificate', '4m')
    .addOption(outputOption())
    .action(renew);
  addOutputOptions(
    child(
      'rotate-service-account-key',
      'change the key of ServiceAccount tokens; a second run, a day later, drops the old key',
    ),
  )
    .option('--status', 'only show the state of the change')
    .option('--drop-now', 'drop the old key at once: pods lose access to the API until they are made again')
    .option('--timeout <TIME>', 'how long each restart of the components may take', '5m')
    .addOption(outputOption())
    .action(rotateKey);
  addStageOptions(
    child(
      'rotate-ca',
      'replace CAs in stages, without locking anybody out; a killed run continues when it is run again',
    ).addOption(new Option('--authority <NAME...>', 'only these').choices(rotatable).default(rotatable, 'all of them')),
  ).action(rotateCa);
  addStageOptions(
    child('rotate-exposed', "replace all keys in two runs, after somebody may have read the plane's Secrets"),
  ).action(rotateAllExposed);
}

/** Options of commands that wait for people between two runs. */
function addStageOptions(command: Command): Command {
  return addOutputOptions(command)
    .option('--status', 'only show the state of each CA and the next step')
    .option(
      '--yes',
      'do not ask; lock out workers and users without the new files, and lose the data of an ephemeral plane',
    )
    .option('--dir <DIR>', 'folder of kubeconfig, kubeconfig-kubelets and ca.pem', 'tls')
    .option('--force', "overwrite another cluster's files there")
    .option('--timeout <TIME>', 'how long each restart of the components may take', '5m')
    .addOption(outputOption());
}

async function status(options: ConnectionOptions & { output: 'text' | 'wide' | 'json' }): Promise<void> {
  await withInfra(options, async (cluster) => {
    const certificates = await certificateStatus(cluster);
    print(options, certificates, () => render(certificates, options.output === 'wide'));
    if (certificates.some(({ nearItsEnd }) => nearItsEnd)) process.exitCode = 1;
  });
}

/** Pure. */
export function render(certificates: CertificateStatus[], wide: boolean): string {
  const near = certificates.filter(({ nearItsEnd }) => nearItsEnd);
  const advice = near.some(({ name }) => name === 'ca-signer')
    ? ['k8sk8s deploy --seal-file FILE makes ca-signer anew; without that, kubelets and users lose access at its end.']
    : near.some(({ kind }) => kind === 'authority')
      ? ['A CA expires soon; every certificate that it signed ends with it.']
      : near.length > 0
        ? ['k8sk8s certs renew and deploy renew certificates that expire soon.']
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
        inTerminal(each.atItsEnd),
        ...(wide ? [each.subject, each.names.join(', ')] : []),
      ]),
    ),
    ...advice,
  ].join('\n');
}

async function renew(options: ConnectionOptions & { name?: string[]; timeout: string; output: string }): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const { reporter } = work;
    const renewed = await renewCertificates(cluster, options.name ?? [], work);
    if (renewed.asleep) reporter.line('The plane sleeps: it reads them when it wakes.');
    else if (renewed.names.some((name) => name !== 'apiserver' && name !== 'admin'))
      reporter.line('The others are read again by whoever uses them within two minutes; until then the old ones hold.');
    if (renewed.names.includes('admin'))
      reporter.line(
        'tls/kubeconfig still has the one before, which stays valid until its end: k8sk8s kubeconfig writes the new one.',
      );
    print(options, renewed, () => undefined);
  });
}

interface RotateOptions extends ConnectionOptions {
  status?: boolean;
  dropNow?: boolean;
  timeout: string;
  output: string;
}

async function rotateKey(options: RotateOptions): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const now = options.status
      ? await keyStatus(cluster)
      : await rotateServiceAccountKey(cluster, options.dropNow ?? false, work);
    print(options, now, renderKey);
  });
}

/** Pure. */
export function renderKey({ stage, signer, oldKeyNeededUntil, endlessTokens }: KeyStatus): string {
  switch (stage) {
    case 'one':
      return `ServiceAccount tokens are signed by key ${signer}, and no other is accepted.`;
    case 'added':
      return `A new key is known and does not sign yet. Run the command again: it goes on.`;
    default:
      return [
        `ServiceAccount tokens are signed by key ${signer}; those of the key before are accepted still.`,
        oldKeyNeededUntil
          ? `Run the command again after ${oldKeyNeededUntil.toISOString()}: it drops the old key.`
          : 'Not all components sign by it yet. Run the command again: it goes on.',
        ...(endlessTokens.length > 0
          ? [`Before that, replace and delete these Secrets, whose tokens never end: ${endlessTokens.join(', ')}`]
          : []),
      ].join('\n');
  }
}

interface StageOptions extends ConnectionOptions {
  status?: boolean;
  yes?: boolean;
  dir: string;
  force?: boolean;
  timeout: string;
  output: string;
}

function requestOf({ yes, dir, force }: StageOptions): Omit<RotationRequest, 'names'> {
  return { force: yes ?? false, agree: confirm, files: { dir, force: force ?? false } };
}

async function rotateCa(options: StageOptions & { authority: AuthorityName[] }): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const now = options.status
      ? await rotationStatus(cluster)
      : await rotateAuthorities(cluster, { ...requestOf(options), names: options.authority }, work);
    print(options, now, renderRotation);
  });
}

/** Pure. */
export function renderRotation(found: RotationStatus[]): string {
  return table(
    ['NAME', 'SIGNER', 'TRUSTED', 'NEXT'],
    found.map(({ name, signer, trusted, next }) => [name, signer, trusted.join(', '), next ?? '-']),
  );
}

async function rotateAllExposed(options: StageOptions): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const now = options.status ? await exposedStatus(cluster) : await rotateExposed(cluster, requestOf(options), work);
    print(options, now, () => renderExposed(now, options.status ?? false));
  });
}

/** Pure. @param asked whether only that was asked, and nothing was done */
export function renderExposed({ since, parts }: ExposedStatus, asked: boolean): string {
  if (since === undefined) return asked ? 'Nothing that was exposed is being replaced.' : remains.join('\n');
  const words = { exposed: 'is used still', between: 'is accepted still', replaced: 'is refused' };
  return [
    table(
      ['WHAT', `AS IT WAS AT ${since}`],
      parts.map(({ name, state }) => [name, words[state]]),
    ),
    'Run k8sk8s certs rotate-exposed again: it goes on, and ends what is accepted still.',
  ].join('\n');
}

const remains = [
  'Everything that could be read is refused from now on. What no command can end, and is yours to do:',
  '  what the reader did meanwhile is still there: look at k8sk8s logs --audit, at ClusterRoleBindings, webhooks and DaemonSets',
  '  what the hosted Secrets say was within reach: passwords and keys in them are to be changed where they are used',
  '  copies of etcd and backups from before can be read with the old keys: delete them; k8sk8s etcd defrag clears the volume',
  '  kubeconfigs of people are refused too: give out tls/kubeconfig, and k8sk8s user create for each user',
  '  Secrets of this namespace that k8sk8s did not make, such as the one of --image-pull-secret, were read as well',
];
