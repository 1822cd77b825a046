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

/** The secrets to search for, each in the forms in which it can appear. */
class Needles {
  readonly #names = new Map<string, string>();

  get size(): number {
    return this.#names.size;
  }

  /** Names of those that a text has. */
  in(text: string): string[] {
    return [...this.#names].filter(([needle]) => text.includes(needle)).map(([, name]) => name);
  }

  add(name: string, text: string): void {
    if (text.length >= 12) this.#names.set(text, name);
  }

  /** The secrets in a file: a key as PEM, and as base64 of the PEM, the form in Secrets and kubeconfigs. */
  addFile(name: string, data: string, file: string): void {
    const text = Buffer.from(data, 'base64').toString('utf8');
    if (file.endsWith('.key')) {
      this.add(`${name} in base64`, data.slice(60, 120));
      // A line after the beginning that all keys of one type share.
      this.add(name, text.split('\n')[2] ?? '');
    } else if (file === 'encryption.yaml')
      for (const [, key] of text.matchAll(/secret: (\S+)/g)) this.add(`key in ${name}`, key!);
    else if (file.includes('kubeconfig'))
      for (const [, key] of text.matchAll(/client-key-data: (\S+)/g)) this.add(`key in ${name}`, key!.slice(60, 120));
  }

  addKubeconfig(file: string): void {
    try {
      const text = readFileSync(file, 'utf8');
      this.addFile(file, Buffer.from(text).toString('base64'), 'kubeconfig');
      const { token } = readKubeconfig(text, file);
      if (token) this.add(`token in ${file}`, token);
    } catch {
      // Not there now.
    }
  }
}

/** Patterns of secrets of any owner: PEM keys, and JSON web tokens with a signature. */
const patterns: [string, RegExp][] = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['a JSON web token', /\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}/],
  ['a private key in base64', /LS0tLS1CRUdJTi[A-Za-z0-9+/]*UFJJVkFURSBLRV/],
  ['an age identity', /AGE-SECRET-KEY-1[A-Z0-9]{20,}/],
];

/** Result of a search, and its extent. */
export interface SecretReport {
  /** How many secrets were searched for. */
  needles: number;
  texts: number;
  characters: number;
  /** How many command lines of processes were searched. */
  processes: number;
  /** Containers with logs: `POD/CONTAINER`, in the hosted cluster `NAMESPACE/POD/CONTAINER`. */
  logs: string[];
  findings: Finding[];
}

/** Output that contains a secret on purpose: the result of the command, on stdout only. */
const meantToBeSecret =
  /^k8sk8s (kubeconfig --output -|token create|user create|backup create - |deploy.*--with-secrets)/;

/** Source of output: a place of faults, or a part of one. */
type Searched = Pick<Place, 'cluster' | 'folder' | 'hasNodes' | 'heard'>;

/**
 * Searches all output for the secrets of every plane of the run. Call `collect` before a plane is destroyed or changed; the
 * texts are searched at the end.
 */
export class SecretSearch {
  readonly #place: Searched;
  readonly #needles = new Needles();
  readonly #texts: { source: string; text: string }[] = [];
  #watching: NodeJS.Timeout | undefined;
  #processes = 0;
  #logs: PodLogs | undefined;

  constructor(place: Searched) {
    this.#place = place;
  }

  /** Reads the command lines of all processes of this box, every 200 ms until `report`. */
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

  /** Follows the logs of all pods of the namespace until `report`. */
  watchPods(): void {
    this.#logs ??= new PodLogs(this.#place.cluster);
  }

  /** Adds text from another source, which `source` names. */
  hear(source: string, text: string): void {
    this.#texts.push({ source, text });
  }

  /** Adds a secret that is in no cluster. */
  need(name: string, secret: string): void {
    this.#needles.add(name, secret);
  }

  /**
   * Records the plane's secrets, and the present events, pod specs and ConfigMaps with the plane's record; for a plane that
   * runs, also the pods in its hosted cluster.
   */
  async collect(): Promise<void> {
    const { cluster, folder, hasNodes } = this.#place;
    const secrets = await cluster.list<Secret>(
      { apiVersion: 'v1', kind: 'Secret' },
      { labelSelector: anyPlaneSelector },
    );
    for (const secret of secrets.items)
      for (const [file, data] of Object.entries(secret.data ?? {}))
        this.#needles.addFile(`${secret.metadata.name}/${file}`, data, file);
    for (const file of ['kubeconfig', ...['kubeconfig', 'kubeconfig-kubelets'].map((name) => path.join('tls', name))])
      this.#needles.addKubeconfig(path.join(folder, file));
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.kubeconfig')))
      this.#needles.addKubeconfig(path.join(folder, file));
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
        if (token) this.#needles.add(`hosted ${type} ${metadata.name}`, Buffer.from(token, 'base64').toString('utf8'));
      }
      const events = await hosted.list<Event>({ apiVersion: 'v1', kind: 'Event' });
      this.hear('events of the hosted cluster', JSON.stringify(events.items));
      const pods = await hosted.list<Pod>({ apiVersion: 'v1', kind: 'Pod' });
      for (const pod of pods.items) await this.#hearHosted(hosted, pod);
    } finally {
      await hosted.close();
    }
  }

  /** A container that does not run yet has no log. */
  async #hearHosted({ transport }: HostedCluster, { metadata, status }: Pod): Promise<void> {
    const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/log`;
    for (const { name, state } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
      if (state?.running ?? state?.terminated)
        this.hear(
          `log of ${metadata.namespace}/${metadata.name}/${name}`,
          (await transport.request<string>({ method: 'GET', path, query: { container: name }, text: true })).body,
        );
  }

  /** Ends the watches of processes and pods, and searches. */
  async report(): Promise<SecretReport> {
    clearInterval(this.#watching);
    for (const [container, text] of (await this.#logs?.end()) ?? []) this.hear(`log of ${container}`, text);
    const texts = [
      ...this.#texts,
      // stdout comes before stderr, and only stdout may contain a secret on purpose.
      ...this.#place.heard.filter(({ source, stream }) => !(stream === 'stdout' && meantToBeSecret.test(source))),
    ];
    const findings = texts.flatMap(({ source, text }) => [
      ...this.#needles.in(text).map((name): Finding => ({ what: `${name} is in: ${source}` })),
      ...patterns
        // Other people's programs run on this box, too.
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

  /** A command line that is seen several times is one text. */
  #compact(): void {
    const seen = new Set<string>();
    for (let index = this.#texts.length - 1; index >= 0; index--) {
      const { text } = this.#texts[index]!;
      if (seen.has(text)) this.#texts.splice(index, 1);
      seen.add(text);
    }
  }
}
