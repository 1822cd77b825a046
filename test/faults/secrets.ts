import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openPlane } from '../../src/hosted.ts';
import type { Event, Pod, Secret } from '../../src/kube/objects.ts';
import { readKubeconfig } from '../../src/kubeconfig/read.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import type { Place } from './place.ts';
import type { Finding } from './report.ts';

/** A secret that is looked for, in a form in which it could show up. */
interface Needle {
  name: string;
  text: string;
}

/** Secrets of every kind, whoever they belong to: PEM keys, and JSON web tokens with a signature. */
const patterns: [string, RegExp][] = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['a JSON web token', /\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}/],
  ['a private key in base64', /LS0tLS1CRUdJTi[A-Za-z0-9+/]*UFJJVkFURSBLRV/],
];

/** Output that is there to hand a secret out: it is the command's answer, and goes to stdout only. */
const meantToBeSecret = /^k8sk8s (kubeconfig --output -|token create|deploy.*--with-secrets)/;

/**
 * Searches everything that was said for the secrets of every plane that there was. Collect before a plane is destroyed
 * or changed; texts are searched at the end.
 */
export class SecretSearch {
  readonly #place: Place;
  readonly #needles = new Map<string, Needle>();
  readonly #texts: { source: string; text: string }[] = [];
  #watching: NodeJS.Timeout | undefined;
  #processes = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Looks at the command lines of all processes of this box, every 200 ms until `report`. */
  watchProcesses(): void {
    this.#watching ??= setInterval(() => {
      for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
        try {
          const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
          if (line === '') continue;
          this.#processes++;
          this.#texts.push({ source: `command line of process ${pid}`, text: line });
        } catch {
          // It has ended.
        }
      }
      this.#compact();
    }, 200);
  }

  /** Remembers the plane's secrets, and what its pods and events say now. */
  async collect(): Promise<void> {
    const { cluster, folder } = this.#place;
    const secrets = await cluster.list<Secret>(
      { apiVersion: 'v1', kind: 'Secret' },
      { labelSelector: anyPlaneSelector },
    );
    for (const secret of secrets.items)
      for (const [file, data] of Object.entries(secret.data ?? {}))
        if (/\.key$|kubeconfig/.test(file)) this.#need(`${secret.metadata.name}/${file}`, data, file);
    this.#needFile(path.join(folder, 'tls/kubeconfig'));
    this.#needFile(path.join(folder, 'kubeconfig'));
    const events = await cluster.list<Event>({ apiVersion: 'v1', kind: 'Event' });
    this.#texts.push({ source: 'events of the namespace', text: JSON.stringify(events.items) });
    const pods = await cluster.list<Pod>({ apiVersion: 'v1', kind: 'Pod' }, { labelSelector: anyPlaneSelector });
    for (const { metadata } of pods.items)
      this.#texts.push({
        source: `log of ${metadata.name}`,
        text: await cluster.log(metadata.name).catch(() => ''),
      });
    await this.#collectHosted().catch(() => undefined);
  }

  async #collectHosted(): Promise<void> {
    const plane = await openPlane(this.#place.cluster);
    const hosted = await plane.connect();
    try {
      const secrets = await hosted.list<Secret>({ apiVersion: 'v1', kind: 'Secret' });
      for (const { metadata, type, data } of secrets.items) {
        const token = data?.['token-secret'] ?? data?.token;
        if (token) this.#add(`hosted ${type} ${metadata.name}`, Buffer.from(token, 'base64').toString('utf8'));
      }
      const events = await hosted.list<Event>({ apiVersion: 'v1', kind: 'Event' });
      this.#texts.push({ source: 'events of the hosted cluster', text: JSON.stringify(events.items) });
    } finally {
      await hosted.close();
    }
  }

  /** Searches, and ends the watch of processes. */
  report(): { needles: number; texts: number; characters: number; processes: number; findings: Finding[] } {
    clearInterval(this.#watching);
    const texts = [
      ...this.#texts,
      // stdout comes before stderr, and only stdout may be meant for a secret.
      ...this.#place.heard.filter(({ source, stream }) => !(stream === 'stdout' && meantToBeSecret.test(source))),
    ];
    const findings = texts.flatMap(({ source, text }) => [
      ...[...this.#needles.values()]
        .filter((needle) => text.includes(needle.text))
        .map((needle): Finding => ({ what: `${needle.name} is in: ${source}` })),
      ...patterns
        // Programs of others run on this box too.
        .filter(([, pattern]) => !source.startsWith('command line') && pattern.test(text))
        .map(([name]): Finding => ({ what: `${name} is in: ${source}` })),
    ]);
    return {
      needles: this.#needles.size,
      texts: texts.length,
      characters: texts.reduce((sum, { text }) => sum + text.length, 0),
      processes: this.#processes,
      findings: [...new Map(findings.map((each) => [each.what, each])).values()],
    };
  }

  /** A key as its PEM's base64, and as that of the PEM itself, which is how a Secret and a kubeconfig carry it. */
  #need(name: string, data: string, file: string): void {
    const text = Buffer.from(data, 'base64').toString('utf8');
    if (file.endsWith('.key')) {
      this.#add(`${name} in base64`, data.slice(60, 120));
      this.#add(name, pemMiddle(text));
    } else
      for (const [, key] of text.matchAll(/client-key-data: (\S+)/g)) this.#add(`key in ${name}`, key!.slice(60, 120));
  }

  #needFile(file: string): void {
    try {
      const text = readFileSync(file, 'utf8');
      this.#need(file, Buffer.from(text).toString('base64'), 'kubeconfig');
      const { token } = readKubeconfig(text, file);
      if (token) this.#add(`token in ${file}`, token);
    } catch {
      // Not there now.
    }
  }

  #add(name: string, text: string): void {
    if (text.length >= 12) this.#needles.set(text, { name, text });
  }

  /** The same command line again and again is one text. */
  #compact(): void {
    const seen = new Set<string>();
    for (let index = this.#texts.length - 1; index >= 0; index--) {
      const { text } = this.#texts[index]!;
      if (seen.has(text)) this.#texts.splice(index, 1);
      seen.add(text);
    }
  }
}

function pemMiddle(pem: string): string {
  const body = pem.replace(/-----[^-]+-----/g, '').replace(/\s/g, '');
  return body.slice(40, 96);
}

/** Every command that looks at a plane or explains itself, with --verbose; none of them changes it. */
export async function runEveryCommand(place: Place): Promise<void> {
  const verbose: string[][] = [
    ['preflight', '-h', place.host],
    ['status'],
    ['status', '--output', 'json'],
    ['list'],
    ['list', '--output', 'json'],
    ...['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].map((component) => ['logs', component]),
    ['worker-config'],
    ['token', 'list'],
    ['token', 'create'],
    ['kubeconfig'],
    ['kubeconfig', '--output', '-'],
    ['version'],
    ['deploy', '-h', place.host, '--dry-run'],
    ['deploy', '-h', place.host, '--export'],
    ['deploy', '-h', place.host, '--export', '--with-secrets'],
    ['deploy', '-h', place.host, '--output', 'json'],
    ['destroy', '--dry-run'],
    ['destroy'],
    ['deploy', '--no-such-option'],
    ['deploy', '-h', 'not a host'],
    ['status', '--context', 'nobody'],
  ];
  for (const args of verbose) await place.run([...args, '--verbose']);
}
