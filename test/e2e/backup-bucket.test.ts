import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Bucket } from '../../src/backup/bucket.ts';
import { bucketKeys, bucketLocation } from '../../src/backup/location.ts';
import { ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { ensureImported } from '../../src/sandbox/containerd.ts';
import { machineFolder, requireState } from '../../src/sandbox/state.ts';
import { imageReferences } from '../../src/sandbox/versions.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { connectByFile } from '../connect-by-file.ts';
import { SecretSearch } from '../faults/secrets.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { S3Server } from './s3-server.ts';
import { asInfraAdmin, Namespace, type Outcome, run, sandboxCommand, succeeded } from './world.ts';

// Scheduled backups in a bucket of a real S3 server, made by the image of k8sk8s in a namespace that takes restricted pods
// alone. The tests follow each other. The server is built for a minute and a half once, so with `npm run test:all`.

const host = 'bucket.e2e.test';
const own = /^bucket-[0-9a-f]{10}-\d{8}T\d{6}Z\.backup$/;
const others = ['bucket-0000000000-20200101T000000Z.backup', 'bucket-20200101T000000Z.backup', 'notes.txt'];
let home: Namespace;
let server: S3Server;
let recipient: string;
let search: SecretSearch;

const file = (name: string) => path.join(home.cwd, name);
const objects = () => server.objects('backups').filter((name) => name.startsWith('team/'));
const mine = () => objects().filter((name) => own.test(path.basename(name)) && !others.includes(path.basename(name)));

const hear = (outcome: Outcome): Outcome => {
  search.hear('a command', outcome.stdout + outcome.stderr);
  return outcome;
};
const k8sk8s = async (...args: string[]) => hear(await home.k8sk8s(...args));

function schedule(...more: string[]) {
  const reach = ['--s3-endpoint', server.endpoint, '--s3-ca', server.ca, '--s3-credentials-secret', 's3'];
  return k8sk8s('backup', 'schedule', '--verbose', '--keep', '1', '--recipient', recipient, ...reach, ...more);
}
const toTeam = ['--to', 's3://backups/team'];
const ownImage = ['--image', imageReferences.k8sk8s()];

async function keysAre(keys: Record<string, string>): Promise<void> {
  await home.infra('delete', 'secret', 's3', '--ignore-not-found');
  for (const [name, value] of Object.entries(keys)) {
    writeFileSync(file(name), value);
    if (name !== 'AWS_SECRET_ACCESS_KEY') continue;
    search.need(name, value);
    search.need(`${name} in base64`, Buffer.from(value).toString('base64'));
  }
  const files = Object.keys(keys).map((name) => `--from-file=${name}`);
  succeeded(await home.infra('create', 'secret', 'generic', 's3', ...files));
}

describe.runIf(runsAllOf('e2e/backup-bucket'))('scheduled backups in a bucket', () => {
  beforeAll(async () => {
    const state = requireState(inject('sandbox'));
    const archives = await ensureImages(['k8sk8s'], { packageFolder: '.' }, terminalReporter());
    for (const machine of state.machines.filter(({ role }) => role === 'infra'))
      await ensureImported(machine, machineFolder(state, machine), archives);
    home = await Namespace.open('bucket');
    succeeded(
      await asInfraAdmin(
        'label',
        'namespace',
        home.name,
        'pod-security.kubernetes.io/enforce=restricted',
        '--overwrite',
      ),
    );
    server = await S3Server.start(home.cwd, ['backups']);
    const identity = await generateIdentity();
    recipient = await identityToRecipient(identity);
    writeFileSync(file('identity'), `${identity}\n`);
    succeeded(await sandboxCommand(['host', host], home));
    search = new SecretSearch({
      cluster: connectByFile(home.env.KUBECONFIG!, home.name),
      folder: home.cwd,
      hasNodes: false,
      heard: [],
    });
    search.watchProcesses();
    search.watchPods();
    succeeded(await k8sk8s('deploy', '-h', host, '--verbose'));
    await search.collect();
  }, 1_200_000);

  afterAll(async () => {
    await home?.k8sk8s('destroy', '--yes');
    await server?.stop();
  });

  test('nothing is begun without the keys', async () => {
    for (const [name, make] of [
      ['Secret "s3"', () => home.infra('delete', 'secret', 's3', '--ignore-not-found')],
      ['AWS_SECRET_ACCESS_KEY', () => keysAre({ AWS_ACCESS_KEY_ID: 'backups' })],
    ] as const) {
      await make();
      const answer = await schedule(...toTeam);
      expect(answer.code).toBe(2);
      expect(answer).toEqual(refused('bucket-keys', name));
    }
    expect((await home.infra('get', 'cronjobs,jobs', '-o', 'name')).stdout).toBe('');
  });

  test('what is wrong with keys, bucket or certificate is told at once, in the words of the job', async () => {
    await keysAre({ ...server.keys, AWS_SECRET_ACCESS_KEY: 'tr0ubador & 3' });
    const wrongKey = await schedule(...toTeam, ...ownImage);
    expect(wrongKey).toEqual(refused('backup-job', 'AWS_SECRET_ACCESS_KEY'));
    expect(wrongKey.stderr).not.toContain('tr0ubador');
    const [, ...logs] = /logs (job\/\S+) (-c) (\S+)\. /.exec(wrongKey.stderr) ?? [];
    expect(succeeded(await home.infra('logs', ...logs)).stdout).toContain('403 SignatureDoesNotMatch');
    await keysAre(server.keys);
    const noBucket = await schedule('--to', 's3://nowhere', ...ownImage);
    expect(noBucket).toEqual(refused('backup-job', '"nowhere"'));
    const nobody = await schedule(...toTeam, ...ownImage, '--s3-endpoint', server.endpoint.replace(/\d+$/, '1'));
    expect(nobody).toEqual(refused('backup-job', 'ECONNREFUSED'));
    const unknown = await k8sk8s(
      ...['backup', 'schedule', '--recipient', recipient, ...toTeam, ...ownImage],
      ...['--s3-endpoint', server.endpoint, '--s3-credentials-secret', 's3'],
    );
    expect(unknown).toEqual(refused('backup-job', '--s3-ca'));
    expect(objects()).toEqual([]);
  });

  test("the project's own image makes them, without rights, root or a disk to write to", async () => {
    await keysAre(server.keys);
    const bucket = bucketOf(server);
    for (const name of others)
      await bucket.put(name, Readable.from([Buffer.from('of somebody else')], { objectMode: false }));
    bucket.close();
    const done = succeeded(await schedule(...toTeam, ...ownImage));
    expect(done.stderr).toContain('s3://backups/team');
    expect(mine()).toHaveLength(1);
    const content = server.content('backups', mine()[0]!);
    expect(content.subarray(0, 21).toString()).toBe('age-encryption.org/v1');
    expect(content.includes(host)).toBe(false);
    const pod = JSON.parse(
      succeeded(await home.infra('get', 'pods', '-l', 'app.kubernetes.io/name=backup', '-o', 'json')).stdout,
    ).items.at(-1);
    expect(pod.spec).toMatchObject({ automountServiceAccountToken: false, securityContext: { runAsNonRoot: true } });
    expect(pod.spec.containers).toMatchObject([
      {
        image: imageReferences.k8sk8s(),
        securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      },
    ]);
  });

  test("the CronJob's next one takes the place of the one before, and of nobody else's", async () => {
    const [before] = mine();
    succeeded(await home.infra('create', 'job', '--from=cronjob/k8sk8s-backup', 'second'));
    succeeded(await home.infra('wait', '--for=condition=complete', 'job/second', '--timeout=120s'));
    expect(mine()).toHaveLength(1);
    expect(mine()[0]! > before!).toBe(true);
    expect(objects()).toEqual(expect.arrayContaining(others.map((name) => `team/${name}`)));
  });

  test('they are listed and fetched, with the namespace at hand and without it', async () => {
    const [newest] = mine().map((name) => path.basename(name));
    const listed = succeeded(await k8sk8s('backup', 'list', '--output', 'json'));
    expect(JSON.parse(listed.stdout)).toEqual([{ name: newest, size: server.content('backups', mine()[0]!).length }]);
    succeeded(await k8sk8s('backup', 'fetch', 'fetched'));
    const checked = succeeded(await home.local('backup', 'verify', 'fetched', '--identity-file', 'identity'));
    expect(checked.stdout).toContain(`The backup is whole.\nPlane:     ${host}, Kubernetes`);
    const from = [...['--from', 's3://backups/team', '--s3-endpoint', server.endpoint, '--s3-ca', server.ca]];
    const alone = (env: NodeJS.ProcessEnv, ...args: string[]) =>
      run(process.execPath, [path.resolve('dist/cli.js'), 'backup', ...args, ...from], {
        cwd: home.cwd,
        env: { KUBECONFIG: '/nonexistent', ...env },
      }).then(hear);
    expect(await alone({ AWS_ACCESS_KEY_ID: '' }, 'list')).toEqual(refused('bucket-keys', 'AWS_ACCESS_KEY_ID'));
    const all = succeeded(await alone(server.keys, 'list')).stdout;
    for (const name of [newest, others[0]]) expect(all).toContain(name);
    expect(await alone(server.keys, 'fetch', 'which')).toEqual(refused('no-backups', '--name'));
    succeeded(await alone(server.keys, 'fetch', 'again', '--name', newest!));
    expect(readFileSync(file('again')).equals(readFileSync(file('fetched')))).toBe(true);
  });

  test("Node's own image makes them too, by the program in the ConfigMap", async () => {
    const [before] = mine();
    const done = succeeded(await schedule(...toTeam));
    expect(done.stderr).toContain('configmap "k8sk8s-backup" configured');
    expect(mine()).toHaveLength(1);
    expect(mine()[0]! > before!).toBe(true);
  });

  test('what broke off half-way is no backup, and nothing of it is kept', async () => {
    const bucket = bucketOf(server);
    const broken = async function* () {
      for (let part = 0; part < 40; part++) yield Buffer.alloc(1 << 20, part);
      throw new Error('broken off');
    };
    const name = 'bucket-0000000000-20300101T000000Z.backup';
    await expect(bucket.put(name, Readable.from(broken(), { objectMode: false }))).rejects.toThrow('broken off');
    expect((await bucket.list()).map((each) => each.name)).not.toContain(name);
    bucket.close();
    expect(server.objects('backups').filter((each) => !each.startsWith('team/'))).toEqual([]);
  });

  test('the schedule ends with the plane or before, and the backups stay', async () => {
    const gone = succeeded(await k8sk8s('destroy', '--yes'));
    expect(gone.stderr).toContain('s3://backups/team');
    expect((await home.infra('get', 'cronjobs,jobs', '-o', 'name')).stdout).toBe('');
    expect(mine()).toHaveLength(1);
    succeeded(await k8sk8s('restore', 'fetched', '--identity-file', 'identity'));
    succeeded(await schedule(...toTeam, '--no-run'));
    succeeded(await k8sk8s('backup', 'schedule', '--off'));
    expect((await home.infra('get', 'cronjobs', '-o', 'name')).stdout).toBe('');
    expect(mine()).toHaveLength(1);
  });

  test('the keys of the bucket are in nothing that was said', async () => {
    search.hear('events', succeeded(await home.infra('get', 'events', '-o', 'json')).stdout);
    const report = await search.report();
    expect(report.findings).toEqual([]);
    expect(report.logs.filter((log) => log.startsWith('k8sk8s-backup-')).length).toBeGreaterThan(3);
  });
});

function bucketOf({ endpoint, ca, keys }: S3Server): Bucket {
  const place = bucketLocation({ url: 's3://backups/team', endpoint, ca: readFileSync(ca, 'utf8') }, 'the test');
  return new Bucket(
    place,
    bucketKeys((name) => (keys as Record<string, string>)[name], 'the test'),
  );
}
