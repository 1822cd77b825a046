import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { eventually, type Namespace, succeeded } from './world.ts';

// Secrets of a hosted cluster, and those of its plane.

/** Stores a text in a Secret and another in a ConfigMap. */
export async function store(home: Namespace, name: string): Promise<{ secret: string; open: string }> {
  const [secret, open] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
  await home.ask('create', 'secret', 'generic', name, `--from-literal=word=${secret}`);
  await home.ask('create', 'configmap', name, `--from-literal=word=${open}`);
  return { secret, open };
}

/** The text in such a Secret. */
export const read = async (home: Namespace, name: string): Promise<string> =>
  Buffer.from(await home.ask('get', 'secret', name, '-o', 'jsonpath={.data.word}'), 'base64').toString();

/** A file in a Secret of the plane. */
export async function fromPlane(home: Namespace, secret: string, file: string): Promise<string> {
  const { stdout } = succeeded(await home.infra('get', 'secret', secret, '-o', 'json'));
  return Buffer.from(JSON.parse(stdout).data[file], 'base64').toString();
}

/** Puts others in place of such files. */
export async function put(home: Namespace, secret: string, files: Record<string, string>): Promise<void> {
  const data = Object.fromEntries(
    Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString('base64')]),
  );
  succeeded(await home.infra('patch', 'secret', secret, '--type=merge', '-p', JSON.stringify({ data })));
}

/** Leaves a plane as a k8sk8s that did not encrypt would have: everything in plain text, and no key. */
export async function toPlainText(home: Namespace): Promise<void> {
  const text =
    'apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{identity: {}}, KEYS]}]\n';
  const keys = /- secretbox:[\s\S]*$/.exec(await fromPlane(home, 'k8sk8s-ca', 'encryption.yaml'))![0];
  const runsWith = async (config: string) => {
    await put(home, 'k8sk8s-ca', { 'encryption.yaml': config });
    succeeded(await home.k8sk8s('deploy'));
    // One that leaves still writes by the key.
    const servers = ['get', 'pods', '-l', 'app.kubernetes.io/name=kube-apiserver', '-o', 'name'];
    await eventually(60, async () => expect((await home.infra(...servers)).stdout.trim().split('\n')).toHaveLength(1));
  };
  await runsWith(text.replace('KEYS', JSON.stringify({ secretbox: { keys: [keyOf(keys)] } })));
  succeeded(await home.hosted(['replace', '-f', '-'], await home.ask('get', 'secrets', '-A', '-o', 'json')));
  await runsWith(text.replace(', KEYS', ''));
}

function keyOf(text: string): { name: string; secret: string } {
  return { name: /name: (\S+)/.exec(text)![1]!, secret: /secret: (\S+)/.exec(text)![1]! };
}

/** The CA that most certificates of the plane are of. */
export async function authorityOf(home: Namespace): Promise<{ certificate: string; key: string }> {
  return {
    certificate: await fromPlane(home, 'k8sk8s-ca', 'ca.crt'),
    key: await fromPlane(home, 'k8sk8s-ca', 'ca.key'),
  };
}
