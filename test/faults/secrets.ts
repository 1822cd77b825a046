import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { Event, Pod, Secret } from '../../src/kube/objects.ts';
import { readKubeconfig } from '../../src/kubeconfig/read.ts';
import { openPlane } from '../../src/live/open.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import type { Place } from './place.ts';
import { PodLogs } from './pod-logs.ts';
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
  ['an age identity', /AGE-SECRET-KEY-1[A-Z0-9]{20,}/],
];

/** What a search found, and what it searched. */
export interface SecretReport {
  /** Secrets looked for. */
  needles: number;
  texts: number;
  characters: number;
  /** Command lines of processes looked at. */
  processes: number;
  /** Containers that logged something: `POD/CONTAINER`, in the hosted cluster `NAMESPACE/POD/CONTAINER`. */
  logs: string[];
  findings: Finding[];
}

/** Output that is there to hand a secret out: it is the command's answer, and goes to stdout only. */
const meantToBeSecret =
  /^k8sk8s (kubeconfig --output -|token create|user create|backup create - |deploy.*--with-secrets)/;

/** Where things are said: a place of faults, or anything that has as much of one. */
type Searched = Pick<Place, 'cluster' | 'folder' | 'hasNodes' | 'heard'>;

/**
 * Searches everything that was said for the secrets of every plane that there was. Collect before a plane is destroyed
 * or changed; texts are searched at the end.
 */
export class SecretSearch {
  readonly #place: Searched;
  readonly #needles = new Map<string, Needle>();
  readonly #texts: { source: string; text: string }[] = [];
  #watching: NodeJS.Timeout | undefined;
  #processes = 0;
  #logs: PodLogs | undefined;

  constructor(place: Searched) {
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

  /** Listens to all pods of the namespace until `report`. */
  watchPods(): void {
    this.#logs ??= new PodLogs(this.#place.cluster);
  }

  /** What is said elsewhere: `source` tells where. */
  hear(source: string, text: string): void {
    this.#texts.push({ source, text });
  }

  /** A secret that no cluster holds. */
  need(name: string, secret: string): void {
    this.#add(name, secret);
  }

  /**
   * Remembers the plane's secrets, and what events, pods' specs and ConfigMaps say now, the record among them; of a plane with
   * pods, what pods in the hosted cluster do, too.
   */
  async collect(): Promise<void> {
    const { cluster, folder, hasNodes } = this.#place;
    const secrets = await cluster.list<Secret>(
      { apiVersion: 'v1', kind: 'Secret' },
      { labelSelector: anyPlaneSelector },
    );
    for (const secret of secrets.items)
      for (const [file, data] of Object.entries(secret.data ?? {}))
        this.#need(`${secret.metadata.name}/${file}`, data, file);
    for (const file of ['kubeconfig', ...['kubeconfig', 'kubeconfig-kubelets'].map((name) => path.join('tls', name))])
      this.#needFile(path.join(folder, file));
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.kubeconfig')))
      this.#needFile(path.join(folder, file));
    for (const kind of ['Event', 'Pod', 'ConfigMap']) {
      const { items } = await cluster.list({ apiVersion: 'v1', kind });
      this.hear(`${kind}s of the namespace`, JSON.stringify(items));
    }
    if (hasNodes) await this.#collectHosted();
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
      this.hear('events of the hosted cluster', JSON.stringify(events.items));
      const pods = await hosted.list<Pod>({ apiVersion: 'v1', kind: 'Pod' });
      for (const pod of pods.items) await this.#hearHosted(hosted, pod);
    } finally {
      await hosted.close();
    }
  }

  /** A container that does not run yet says nothing. */
  async #hearHosted({ transport }: HostedCluster, { metadata, status }: Pod): Promise<void> {
    const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/log`;
    for (const { name, state } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
      if (state?.running ?? state?.terminated)
        this.hear(
          `log of ${metadata.namespace}/${metadata.name}/${name}`,
          (await transport.request<string>({ method: 'GET', path, query: { container: name }, text: true })).body,
        );
  }

  /** Searches, and ends the watches of processes and pods. */
  async report(): Promise<SecretReport> {
    clearInterval(this.#watching);
    for (const [container, text] of (await this.#logs?.end()) ?? []) this.hear(`log of ${container}`, text);
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
      logs: [
        ...new Set(
          texts
            .filter(({ source, text }) => source.startsWith('log of ') && text !== '')
            .map(({ source }) => source.slice(7)),
        ),
      ],
      findings: [...new Map(findings.map((each) => [each.what, each])).values()],
    };
  }

  /** What is secret in a file: a key as its PEM, and as the base64 of that, which is how Secrets and kubeconfigs carry it. */
  #need(name: string, data: string, file: string): void {
    const text = Buffer.from(data, 'base64').toString('utf8');
    if (file.endsWith('.key')) {
      this.#add(`${name} in base64`, data.slice(60, 120));
      // A line that does not begin with what all keys of a kind begin with.
      this.#add(name, text.split('\n')[2] ?? '');
    } else if (file === 'encryption.yaml')
      for (const [, key] of text.matchAll(/secret: (\S+)/g)) this.#add(`key in ${name}`, key!);
    else if (file.includes('kubeconfig'))
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
