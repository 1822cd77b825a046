import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Credential, createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { run } from '../../src/sandbox/process.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { bareApiServerFlags } from '../api/bare-api-server.ts';
import { Writers } from './history.ts';
import { anyOf, someSeconds } from './plane-faults.ts';
import { shuffled } from './random.ts';
import type { Faults } from './report.ts';

/** A fault's name, how often it was made, and the longest time without an acknowledged write, seconds. */
export type BareRows = Record<string, { times: number; longestGap: number }>;

interface Process {
  child: ChildProcess;
  program: string;
  args: string[];
}

const members = ['127.0.77.1', '127.0.77.2', '127.0.77.3'];
const servers = ['127.0.77.11', '127.0.77.12'];
const balancer = '127.0.77.20';
const port = 6443;

/**
 * Three members of etcd and two API servers as bare processes on loopback, each with an address of its own: no infra cluster,
 * no containers, no k8sk8s. The time that a fault costs here is the share of etcd and the API server, without k8sk8s.
 */
class BareCluster {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-bare-'));
  readonly #etcd: Process[] = [];
  readonly #apiServers: Process[] = [];
  #balancer?: Server;
  writers?: Writers;

  async start(): Promise<void> {
    const programs = await ensureBinaries(['etcd', 'kube-apiserver'], {}, quietReporter);
    const authority = await createAuthority('bare');
    members.forEach((_, number) => void this.#etcd.push(this.#run(programs.etcd, this.#etcdArgs(number))));
    for (const address of servers)
      this.#apiServers.push(this.#run(programs['kube-apiserver'], await this.#apiServerArgs(address, authority)));
    let next = 0;
    this.#balancer = createServer((socket) => {
      const onward = connect(port, servers[next++ % servers.length]!);
      for (const [end, other] of [
        [socket, onward],
        [onward, socket],
      ] as const)
        end.on('error', () => other.destroy()).on('close', () => other.destroy());
      socket.pipe(onward).pipe(socket);
    }).listen(port, balancer);
    const client = await issueLeaf(authority, {
      commonName: 'writer',
      organizations: ['system:masters'],
      usages: ['clientAuth'],
    });
    this.writers = new Writers({
      host: balancer,
      port,
      servername: 'localhost',
      ca: authority.certificate,
      client,
      namespace: 'default',
    });
  }

  /**
   * Kills members at the same moment. Each is started again a second later, as a kubelet restarts a container for the first
   * time.
   */
  async killMembers(which: number[]): Promise<void> {
    for (const number of which) this.#etcd[number]!.child.kill('SIGKILL');
    await sleep(1000);
    for (const number of which) this.#etcd[number] = this.#again(this.#etcd[number]!);
  }

  async killAll(): Promise<void> {
    for (const { child } of this.#apiServers) child.kill('SIGKILL');
    await this.killMembers([0, 1, 2]);
    this.#apiServers.forEach((each, index) => {
      this.#apiServers[index] = this.#again(each);
    });
  }

  /** Drops all packets from and to a member at these ports. @returns a function that ends this */
  async cut(member: number, ports: number[]): Promise<() => Promise<void>> {
    const address = members[member]!;
    const rules = ports.flatMap((each) =>
      ['-s', '-d'].flatMap((end) =>
        ['--sport', '--dport'].map((side) => [end, address, '-p', 'tcp', side, String(each), '-j', 'DROP']),
      ),
    );
    for (const rule of rules) await run('iptables', ['-w', '-A', 'OUTPUT', ...rule]);
    return async () => {
      for (const rule of rules) await run('iptables', ['-w', '-D', 'OUTPUT', ...rule]);
    };
  }

  async stop(): Promise<void> {
    this.#balancer?.close();
    for (const { child } of [...this.#apiServers, ...this.#etcd]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #run(program: string, args: string[]): Process {
    const log = openSync(path.join(this.#folder, `${path.basename(program)}.log`), 'a');
    return { program, args, child: spawn(program, args, { stdio: ['ignore', log, log] }) };
  }

  #again({ program, args }: Process): Process {
    return this.#run(program, args);
  }

  #etcdArgs(number: number): string[] {
    const at = (address: string, port: number) => `http://${address}:${port}`;
    const address = members[number]!;
    return [
      `--name=m${number}`,
      `--data-dir=${path.join(this.#folder, `m${number}`)}`,
      `--listen-client-urls=${at(address, 2379)}`,
      `--advertise-client-urls=${at(address, 2379)}`,
      `--listen-peer-urls=${at(address, 2380)}`,
      `--initial-advertise-peer-urls=${at(address, 2380)}`,
      `--initial-cluster=${members.map((each, index) => `m${index}=${at(each, 2380)}`).join(',')}`,
      // A rule of iptables finds the packets of a member by its address.
      '--feature-gates=SetMemberLocalAddr=true',
    ];
  }

  async #apiServerArgs(address: string, authority: Credential): Promise<string[]> {
    const file = (name: string, content: string) => {
      const place = path.join(this.#folder, `${address}-${name}`);
      writeFileSync(place, content, { mode: 0o600 });
      return place;
    };
    const flags = await bareApiServerFlags({
      address,
      port,
      etcd: members.map((each) => `http://${each}:2379`),
      authority,
      file,
    });
    return [...flags, `--advertise-address=${address}`];
  }
}

interface BareFault {
  name: string;
  happen(cluster: BareCluster, random: () => number): Promise<void>;
}

const cutOff = (name: string, ports: number[]): BareFault => ({
  name: `${name} for 2 to 12 s`,
  async happen(cluster, random) {
    const mend = await cluster.cut(anyOf([0, 1, 2], random), ports);
    await someSeconds(random).finally(mend);
  },
});

const bareFaults: BareFault[] = [
  { name: 'etcd killed', happen: (cluster, random) => cluster.killMembers([anyOf([0, 1, 2], random)]) },
  cutOff('a member cut off from the other members', [2380]),
  cutOff('a member cut off from members and API servers', [2379, 2380]),
  { name: 'every process killed at once', happen: (cluster) => cluster.killAll() },
];

/**
 * Runs the writers and the faults of `writes` against a bare cluster on this box.
 *
 * @param rounds how often each fault is made
 */
export async function measureBare(rounds: number, { random, isOver, progress }: Faults): Promise<BareRows> {
  const cluster = new BareCluster();
  const rows: BareRows = {};
  try {
    await cluster.start();
    const writers = cluster.writers!;
    writers.start(6);
    await acknowledged(writers);
    for (let round = 0; round < rounds; round++)
      for (const fault of shuffled(bareFaults, random)) {
        if (isOver()) return rows;
        writers.nextEpoch();
        writers.longestGap = 0;
        await fault.happen(cluster, random);
        await acknowledged(writers);
        const gap = writers.longestGap / 1000;
        const before = rows[fault.name] ?? { times: 0, longestGap: 0 };
        rows[fault.name] = { times: before.times + 1, longestGap: Math.max(before.longestGap, gap) };
        progress(`${fault.name}: ${gap.toFixed(1)} s without an acknowledged write`);
      }
    return rows;
  } finally {
    // The last reads of the writers are not needed here, and fail when the cluster does not answer.
    await cluster.writers?.stop().catch(() => undefined);
    await cluster.stop();
  }
}

/** @throws Error when 100 more writes are not acknowledged within three minutes */
async function acknowledged(writers: Writers): Promise<void> {
  const before = writers.acknowledged;
  for (const deadline = Date.now() + 180_000; writers.acknowledged < before + 100; await sleep(100))
    if (Date.now() > deadline) throw new Error('writes are not acknowledged');
}
