import { expect } from 'vitest';
import type { Anchor } from '../../src/base/anchors.ts';
import { eventually, type Namespace, succeeded } from './world.ts';

/** A plane that keeps its logs, and what they say; of log-view.test.ts. */
export class LogWorld {
  readonly home: Namespace;

  constructor(home: Namespace) {
    this.home = home;
  }

  /** Lines of a question, as JSON. */
  async ask(...words: string[]): Promise<Record<string, string>[]> {
    const { stdout } = succeeded(await this.home.k8sk8s('logs', 'query', ...words, '--output', 'json'));
    return JSON.parse(stdout) as Record<string, string>[];
  }

  /** The same once there are some. */
  found(...words: string[]): Promise<Record<string, string>[]> {
    return eventually(60, async () => {
      const lines = await this.ask(...words);
      expect(lines, words.join(' ')).not.toEqual([]);
      return lines;
    });
  }

  /** Makes objects, one after the other. @returns milliseconds of the slowest request */
  async make(name: string, count: number): Promise<number> {
    let slowest = 0;
    for (let n = 0; n < count; n++) {
      const began = performance.now();
      await this.home.ask('create', 'configmap', `${name}-${n}`);
      slowest = Math.max(slowest, performance.now() - began);
    }
    return Math.round(slowest);
  }

  /** The events of all that `make` made are there, each once. */
  eachOnce(name: string, count: number): Promise<void> {
    const query = `type:=audit verb:=create resource:=configmaps name:~"^${name}-" | stats by (name) count() as n`;
    return eventually(120, async () => {
      const lines = await this.ask('--logsql', query, '--limit', '100');
      expect(lines.length).toBe(count);
      expect(lines.filter(({ n }) => n !== '1')).toEqual([]);
    });
  }

  async statusNow() {
    const { stdout, stderr } = await this.home.k8sk8s('status', '--output', 'json');
    expect(stdout, stderr).not.toBe('');
    return JSON.parse(stdout) as { findings: { anchor: Anchor }[]; logs?: { report?: { losses: number } } };
  }

  /** `status` has this to say, and nothing else. */
  finding(...anchors: Anchor[]): Promise<void> {
    return eventually(150, async () =>
      expect((await this.statusNow()).findings.map(({ anchor }) => anchor)).toEqual(anchors),
    );
  }

  /** Of all pods but the store's. */
  async restarts(): Promise<string[]> {
    const line = '{range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount}{"\\n"}{end}';
    const { stdout } = succeeded(await this.home.infra('get', 'pods', '-o', `jsonpath=${line}`));
    return stdout.split('\n').filter((each) => !each.startsWith('log-store'));
  }

  async storeOff(): Promise<void> {
    await this.scaleStore(0);
    await eventually(60, async () => expect(await this.storePod()).toBe(''));
  }

  async scaleStore(replicas: number): Promise<void> {
    const patch = JSON.stringify({ spec: { replicas } });
    succeeded(await this.home.infra('patch', 'deployment', 'log-store', '--type=merge', '-p', patch));
  }

  async storePod(): Promise<string> {
    const { stdout } = succeeded(
      await this.home.infra(
        'get',
        'pods',
        '-l',
        'app.kubernetes.io/name=log-store',
        '-o',
        'jsonpath={.items[*].metadata.name}',
      ),
    );
    return stdout.trim();
  }
}
