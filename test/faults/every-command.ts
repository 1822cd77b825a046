import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { backupsClaim } from '../../src/backup/cronjob.ts';
import { newest } from '../../src/config/versions.ts';
import type { Place } from './place.ts';
import type { SecretSearch } from './secrets.ts';

/** A command of the list, with `--verbose` where the command has that option. */
interface Step {
  args: string[];
  /** The expected exit code: a command that fails at once prints nothing to search. */
  code: number;
  local?: boolean;
}

const does = (...args: string[]): Step => ({ args, code: 0 });
const fails = (code: number, ...args: string[]): Step => ({ args, code });
const local = (step: Step): Step => ({ ...step, local: true });

/** Every command that reads a plane or prints help; none changes the plane. */
export async function runEveryLook(place: Place): Promise<void> {
  const deploy = ['deploy', '-h', place.host, '--verbose'];
  await runAll(place, [
    does('preflight', '-h', place.host, '--verbose'),
    does('status'),
    does('status', '--output', 'json'),
    does('list'),
    does('list', '--output', 'json'),
    ...['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-apiserver-egress'].map((name) =>
      does('logs', name),
    ),
    does('logs', '--audit'),
    does('worker-config'),
    does('token', 'list'),
    does('token', 'create'),
    does('kubeconfig', '--verbose'),
    does('kubeconfig', '--output', '-'),
    does('version'),
    does('diff'),
    does('diff', '--output', 'json'),
    does('certs', 'status', '--output', 'wide'),
    does('certs', 'status', '--output', 'json'),
    ...['rotate-ca', 'rotate-service-account-key', 'rotate-exposed'].flatMap((name) => [
      does('certs', name, '--status', '--verbose'),
      does('certs', name, '--status', '--output', 'json'),
    ]),
    does('encrypt', 'status'),
    does('encrypt', 'status', '--output', 'json'),
    does('etcd', 'members'),
    does('etcd', 'members', '--output', 'json'),
    does('user', 'list'),
    does('upgrade', '--to', newest.patch, '--plan', '--verbose'),
    does(...deploy, '--dry-run'),
    does(...deploy, '--export'),
    does(...deploy, '--export', '--with-secrets'),
    does(...deploy, '--output', 'json'),
    does('destroy', '--dry-run', '--verbose'),
    fails(2, 'destroy', '--verbose'),
    fails(2, 'deploy', '--no-such-option', '--verbose'),
    fails(2, 'deploy', '-h', 'not a host', '--verbose'),
    fails(2, 'status', '--context', 'nobody'),
    fails(1, 'token', 'revoke', 'abcdef'),
  ]);
}

/**
 * Runs every command that changes a plane, or that writes or reads files with its secrets. The plane is deployed before and
 * after. The search learns the new secrets of each command before the next command runs.
 *
 * @param from the plane's Kubernetes version; when it is not the newest, the plane is upgraded
 */
export async function runEveryChange(place: Place, search: SecretSearch, from: string = newest.patch): Promise<void> {
  const { recipient } = await keyFiles(place, search);
  const passphrase = ['--passphrase-file', 'passphrase'];
  const wrong = ['--passphrase-file', 'other'];
  const then = async (...steps: Step[]) => {
    await runAll(place, steps);
    await search.collect();
  };
  await then(
    does('user', 'create', 'ann', '--cluster-role', 'view'),
    does('user', 'create', 'bob', '--cluster-role', 'view', '--file', 'bob.kubeconfig'),
    fails(2, 'user', 'create', 'system:admin'),
    does('user', 'list', '--output', 'json'),
    does('user', 'revoke', 'ann'),
    does('token', 'create', '--write'),
  );
  await then(
    fails(2, 'backup', 'create', 'none.backup', '--verbose'),
    does('backup', 'create', 'plain.backup', '--plaintext', '--verbose'),
    does('backup', 'create', '-', '--plaintext'),
    does('backup', 'create', 'sealed.backup', ...passphrase, '--verbose'),
    does('backup', 'create', 'for.backup', '--recipient', recipient, '--verbose'),
    local(does('backup', 'verify', 'plain.backup')),
    local(does('backup', 'verify', 'sealed.backup', ...passphrase, '--output', 'json')),
    local(does('backup', 'verify', 'for.backup', '--identity-file', 'identity')),
    local(fails(1, 'backup', 'verify', 'sealed.backup', ...wrong)),
    local(does('backup', 'list', ...passphrase)),
    does('backup', 'schedule', '--recipient', recipient, '--size', '1Gi', '--verbose'),
    does('backup', 'list'),
    does('backup', 'fetch', 'fetched.backup', '--verbose'),
    does('backup', 'schedule', '--off', '--verbose'),
  );
  await then(does('encrypt', 'rotate', '--verbose'), does('certs', 'renew', '--verbose'));
  await then(does('certs', 'rotate-service-account-key', '--verbose'));
  await then(
    does('certs', 'rotate-service-account-key', '--drop-now', '--verbose'),
    does('certs', 'rotate-ca', '--authority', 'front-proxy-ca', '--verbose'),
  );
  await then(
    does('etcd', 'defrag', '--verbose'),
    does('etcd', 'repair', '--verbose'),
    does('sleep', '--verbose'),
    does('status'),
    does('wake', '--verbose'),
  );
  await then(
    fails(2, 'deploy', '--seal', 'passphrase-file', '--verbose'),
    does('deploy', '--seal', 'passphrase-file', '--seal-file', 'passphrase', '--verbose'),
    fails(2, 'certs', 'renew', '--name', 'scheduler', '--seal-file', 'other', '--verbose'),
    does('certs', 'renew', '--name', 'scheduler', '--seal-file', 'passphrase', '--verbose'),
  );
  if (from !== newest.patch)
    await then(
      fails(2, 'upgrade', '--to', newest.patch, '--verbose'),
      does('upgrade', '--to', newest.patch, ...passphrase, '--observe', '1s', '--verbose'),
    );
  await runAll(place, [
    does('destroy', '--yes', '--verbose'),
    fails(1, 'restore', 'sealed.backup', ...wrong, '--verbose'),
  ]);
  await then(does('restore', 'sealed.backup', ...passphrase, '--verbose'));
  // The claim of a backup schedule outlives the plane.
  await place.cluster.delete({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' }, backupsClaim);
}

/** The commands for a run of a minute: those that print much or handle keys and passphrases. */
export async function runInShort(place: Place, search: SecretSearch): Promise<void> {
  await keyFiles(place, search);
  const passphrase = ['--passphrase-file', 'passphrase'];
  await runAll(place, [
    does('status', '--output', 'json'),
    does('certs', 'status', '--output', 'json'),
    does('kubeconfig', '--verbose'),
    does('worker-config'),
    does('token', 'create', '--write'),
    does('user', 'create', 'bob', '--cluster-role', 'view', '--file', 'bob.kubeconfig'),
    does('deploy', '--verbose', '--export'),
    does('backup', 'create', 'sealed.backup', ...passphrase, '--verbose'),
    local(does('backup', 'verify', 'sealed.backup', ...passphrase)),
    does('encrypt', 'rotate', '--verbose'),
  ]);
  await search.collect();
  await runAll(place, [
    does('deploy', '--seal', 'passphrase-file', '--seal-file', 'passphrase', '--verbose'),
    fails(2, 'certs', 'renew', '--name', 'scheduler', '--seal-file', 'other', '--verbose'),
  ]);
  await search.collect();
}

/** Makes the key for backups and for the CA's key in the place's folder, and tells it to the search. */
async function keyFiles(place: Place, search: SecretSearch): Promise<{ recipient: string }> {
  const write = (file: string, secret: string) => {
    writeFileSync(path.join(place.folder, file), `${secret}\n`, { mode: 0o600 });
    search.need(`the ${file}`, secret);
  };
  write('passphrase', randomBytes(12).toString('hex'));
  write('other', randomBytes(12).toString('hex'));
  const identity = await generateIdentity();
  write('identity', identity);
  return { recipient: await identityToRecipient(identity) };
}

async function runAll(place: Place, steps: Step[]): Promise<void> {
  for (const step of steps) {
    const outcome = await place.run(step.args, { local: step.local });
    // Without nodes, no plane can answer.
    if (outcome.code === step.code || !place.hasNodes) continue;
    throw new Error(`${outcome.command} ended with ${outcome.code}:\n${outcome.stdout}${outcome.stderr}`);
  }
}
