import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Secret } from '../../kube/objects.ts';
import type { PkiBundle } from '../../pki/certificates.ts';
import { EtcdGateway } from '../../plane/etcd-gateway.ts';
import { readBundle } from '../../plane/secrets.ts';
import type { PlaneRecord } from '../../record.ts';
import { wholeFile } from '../file.ts';
import type { JobConfig } from '../schedule.ts';
import { streamBackup } from '../stream.ts';

// What the CronJob of `k8sk8s backup schedule` runs. It has no credentials of the infra cluster: what it needs is mounted.

const config = JSON.parse(readFileSync('/config/job.json', 'utf8')) as JobConfig;
const record = JSON.parse(readFileSync('/record/plane.json', 'utf8')) as PlaneRecord;

/** The plane's Secrets, each a folder of files. */
function readSecrets(): Secret[] {
  const labels = {
    'app.kubernetes.io/instance': record.planeId,
    'app.kubernetes.io/part-of': 'k8sk8s',
    'app.kubernetes.io/managed-by': 'k8sk8s',
  };
  const filesOf = (name: string) =>
    readdirSync(path.join('/secrets', name))
      .filter((file) => !file.startsWith('..'))
      .map((file) => [file, readFileSync(path.join('/secrets', name, file)).toString('base64')]);
  // A Secret that this plane does not have is mounted as an empty folder.
  return readdirSync('/secrets')
    .map((name) => ({ name, data: Object.fromEntries(filesOf(name)) as Record<string, string> }))
    .filter(({ data }) => Object.keys(data).length > 0)
    .map(({ name, data }) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, labels }, type: 'Opaque', data }));
}

/** The first member that answers. @throws what the last of them failed by */
async function answering(hosts: string[], bundle: PkiBundle): Promise<EtcdGateway> {
  for (const [index, host] of hosts.entries()) {
    const etcd = EtcdGateway.at(host, bundle);
    try {
      await etcd.status();
      return etcd;
    } catch (error) {
      if (index === hosts.length - 1) throw error;
    }
  }
  throw new Error('job.json names no member of etcd');
}

async function main(): Promise<void> {
  const { toolVersion, namespace, addresses, etcdHosts, recipients, keep } = config;
  const secrets = readSecrets();
  const etcd = await answering(etcdHosts, readBundle(secrets)!);
  const created = new Date().toISOString();
  const name = `${namespace}-${created.replace(/[-:]|\.\d+/g, '')}.backup`;
  const facts = await wholeFile(path.join('/backups', name), (write) =>
    streamBackup({
      head: { format: 1, created, toolVersion, namespace, record, addresses },
      secrets,
      etcd,
      seal: { recipients },
      write,
      progress: () => undefined,
    }),
  );
  console.log(`${name}: revision ${facts.revision}, ${facts.size} bytes of etcd`);
  const mine = readdirSync('/backups').filter((file) => file.startsWith(`${namespace}-`) && file.endsWith('.backup'));
  for (const old of mine.sort().slice(0, -keep)) {
    rmSync(path.join('/backups', old));
    console.log(`${old}: removed, there are ${keep} newer ones`);
  }
}

await main();
