import { lookup } from 'node:dns/promises';
import { createReadStream, createWriteStream, readdirSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { extract, pack } from 'tar-stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cacheRoot } from '../../src/base/cache-root.ts';
import { runsAllOf } from '../test-all.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// What a person who tries something gives to the sandbox by hand: names and images.

let home: Namespace;
const image = 'e2e.test/own/image:1';

beforeAll(async () => {
  home = await Namespace.open('sandbox');
});

afterAll(async () => {
  await home.infra('delete', 'pod', 'own', '--grace-period=0', '--ignore-not-found');
});

test('a name is given, and taken back', async () => {
  const name = 'given.e2e.test';
  succeeded(await sandboxCommand(['host', name], home));
  await lookup(name);
  succeeded(await sandboxCommand(['host', name, '--remove'], home));
  await expect(lookup(name)).rejects.toThrow(name);
  expect(succeeded(await sandboxCommand(['host', name, '--remove'], home)).stderr).toContain(name);
});

test('an image of the person runs on the infra nodes without a registry', async () => {
  const images = path.join(cacheRoot(), 'images/busybox');
  const archive = readdirSync(images, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('.tar'));
  await renamed(path.join(images, archive!), path.join(home.cwd, 'own.tar'));
  succeeded(await sandboxCommand(['image', 'import', 'own.tar'], home));
  const command = ['--restart=Never', '--image-pull-policy=Never', '--command', '--', 'sleep', '60'];
  succeeded(await home.infra('run', 'own', `--image=${image}`, ...command));
  await eventually(30, async () => {
    const { stdout } = succeeded(await home.infra('get', 'pod', 'own', '-o', 'jsonpath={.status.phase}'));
    expect(stdout).toBe('Running');
  });
});

test.runIf(runsAllOf('e2e/sandbox'))('a worker of a plane that was destroyed joins the next one', async () => {
  const host = 'sandbox.e2e.test';
  succeeded(await sandboxCommand(['host', host], home));
  try {
    for (const _ of ['first', 'second']) {
      succeeded(await home.k8sk8s('destroy', '--yes'));
      succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', 'ephemeral', '--yes'));
      succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
      await eventually(60, async () => expect(await home.ask('get', 'nodes', '-o', 'name')).toContain('node/worker-'));
    }
  } finally {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  }
});

/** The same image as `docker save` would write it under a name of its own. */
async function renamed(from: string, to: string): Promise<void> {
  const result = pack();
  const written = pipeline(result, createWriteStream(to));
  const entries = extract();
  createReadStream(from).pipe(entries);
  for await (const entry of entries) {
    if (entry.header.name === 'manifest.json') {
      const [first] = JSON.parse(await text(entry)) as object[];
      result.entry({ name: entry.header.name }, JSON.stringify([{ ...first, RepoTags: [image] }]));
    } else await pipeline(entry, result.entry(entry.header));
  }
  result.finalize();
  await written;
}
