import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { ExecError } from '../kube/exec.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Pod } from '../kube/objects.ts';
import { podsOf } from '../live/pods.ts';

export interface Member {
  /** Hexadecimal, as etcdctl expects it. */
  id: string;
  /** Empty until the member has started once. */
  name: string;
  /** `https://10.96.0.6:2380` */
  peerUrl: string;
  learner: boolean;
}

export interface MemberStatus {
  id: string;
  leader: string;
  learner: boolean;
  version: string;
  revision: number;
  raftIndex: number;
  raftTerm: number;
  /** Bytes: size of the file, the part in use, and the quota. */
  size: number;
  inUse: number;
  quota: number;
  errors: string[];
}

export interface Alarm {
  member: string;
  kind: 'NOSPACE' | 'CORRUPT' | string;
}

/** The message of an etcdctl that failed. */
export class EtcdError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'EtcdError';
  }
}

const pki = '/etc/etcd/pki';

/**
 * etcdctl in the pod of one member. It asks the other members at the addresses that members use for each other, so it sees
 * the same broken connections. EtcdGateway reaches a pod whatever its network is like; it is for bytes that come out of
 * etcd, and for cases without exec.
 */
export class Etcdctl {
  readonly #cluster: InfraCluster;
  readonly #pod: string;

  constructor(cluster: InfraCluster, pod: string) {
    this.#cluster = cluster;
    this.#pod = pod;
  }

  /**
   * Asks the pod's own member, which forwards requests for the leader.
   *
   * @throws EtcdError with etcdctl's message, ExecError when it could not be run
   */
  async run(args: string[], options: { address?: string; seconds?: number } = {}): Promise<string> {
    const { address = '127.0.0.1', seconds = 10 } = options;
    const { code, stdout, stderr } = await this.#exec([address], args, seconds);
    if (code !== 0) throw new EtcdError(lastWords(stderr) || `etcdctl ended with exit code ${code}`);
    return stdout;
  }

  async members(): Promise<Member[]> {
    const answer = parse(await this.run(['member', 'list', '-w', 'json'])) as {
      members: { ID: string; name?: string; peerURLs?: string[]; isLearner?: boolean }[];
    };
    return answer.members.map(({ ID, name = '', peerURLs = [], isLearner = false }) => ({
      id: hex(ID),
      name,
      peerUrl: peerURLs[0] ?? '',
      learner: isLearner,
    }));
  }

  /** By address; members that do not answer within a few seconds are omitted. */
  async status(addresses: string[]): Promise<Map<string, MemberStatus>> {
    // Exit code 1 when only some of them answered.
    const { stdout } = await this.#exec(addresses, ['endpoint', 'status', '-w', 'json'], 4);
    const answer = (stdout.trim() === '' ? [] : (parse(stdout) ?? [])) as {
      Endpoint: string;
      Status: Record<string, unknown> & { header: Record<string, string | number> };
    }[];
    return new Map(
      answer.map(({ Endpoint, Status: { header, ...status } }) => [
        new URL(Endpoint).hostname,
        {
          id: hex(header.member_id),
          leader: hex(status.leader),
          learner: status.isLearner === true,
          version: String(status.version ?? ''),
          revision: Number(header.revision ?? 0),
          raftIndex: Number(status.raftIndex ?? 0),
          raftTerm: Number(status.raftTerm ?? 0),
          size: Number(status.dbSize ?? 0),
          inUse: Number(status.dbSizeInUse ?? 0),
          quota: Number(status.dbSizeQuota ?? 0),
          errors: (status.errors as string[] | undefined) ?? [],
        },
      ]),
    );
  }

  async alarms(): Promise<Alarm[]> {
    const answer = parse(await this.run(['alarm', 'list', '-w', 'json'])) as {
      alarms?: { memberID: string; alarm: number }[];
    };
    return (answer.alarms ?? []).map(({ memberID, alarm }) => ({
      member: hex(memberID),
      kind: ['NONE', 'NOSPACE', 'CORRUPT'][alarm] ?? String(alarm),
    }));
  }

  /** Forgets what was overwritten or deleted up to a revision; nothing where an earlier run, or the API server, has done so. */
  async compact(revision: number, seconds: number): Promise<void> {
    try {
      await this.run(['compact', '--physical', String(revision)], { seconds });
    } catch (error) {
      if (!(error instanceof EtcdError && /required revision has been compacted/.test(error.message))) throw error;
    }
  }

  #exec(addresses: string[], args: string[], seconds: number) {
    const command = [
      'etcdctl',
      `--endpoints=${addresses.map((address) => `https://${address}:2379`).join(',')}`,
      `--cacert=${pki}/etcd-ca.crt`,
      `--cert=${pki}/${this.#pod}.crt`,
      `--key=${pki}/${this.#pod}.key`,
      '--dial-timeout=3s',
      `--command-timeout=${seconds}s`,
      ...args,
    ];
    const timeout = (seconds * Math.max(1, addresses.length) + 15) * 1000;
    return this.#cluster.exec(this.#pod, command, { container: 'etcd', timeout });
  }
}

/**
 * etcdctl in the first pod that can run it, a ready one if possible.
 *
 * @throws UserError `etcd-unreachable` when none of etcd's containers runs
 */
export async function openEtcdctl(cluster: InfraCluster, planeId: string): Promise<Etcdctl> {
  const pods = await podsOf(cluster, planeId, 'etcd');
  const running = pods.filter(({ metadata, status }) => !metadata.deletionTimestamp && hasStarted(status));
  const ready = running.find(({ status }) => status?.containerStatuses?.every((each) => each.ready));
  // A pod in a crash loop may stop during the exec.
  const chosen = ready ?? running.toSorted((a, b) => startOf(a).localeCompare(startOf(b)))[0];
  if (chosen) return new Etcdctl(cluster, chosen.metadata.name);
  throw new UserError({
    what: `no etcd of the plane in namespace "${cluster.namespace}" is running`,
    why: pods.length === 0 ? 'it has no pod' : `its pods: ${pods.map(({ metadata }) => metadata.name).join(', ')}`,
    fix: words`look at: ${command('status', cluster.namespace)}`,
    anchor: 'etcd-unreachable',
  });
}

function startOf({ status }: Pod): string {
  return status?.containerStatuses?.find(({ name }) => name === 'etcd')?.state?.running?.startedAt ?? '';
}

function hasStarted(status: Pod['status']): boolean {
  return status?.containerStatuses?.some(({ name, state }) => name === 'etcd' && state?.running !== undefined) ?? false;
}

/** Explains an error of etcdctl to the user. */
export function explainEtcd(error: unknown, doing: string, namespace: string): unknown {
  if (!(error instanceof EtcdError || error instanceof ExecError)) return error;
  return new UserError({
    what: `cannot ${doing}`,
    why: error.message,
    fix: words`look at: ${command('etcd members', namespace)}; without a majority of its members etcd cannot change anything: ${command('etcd repair', namespace)}`,
    anchor: 'etcd-unreachable',
    cause: error,
  });
}

/** Member IDs have 64 bits, of which JSON.parse would keep 53. */
function parse(text: string): unknown {
  return JSON.parse(text.replace(/:(\d{15,})(?=[,}\]])/g, ':"$1"'));
}

function hex(id: unknown): string {
  return id === undefined ? '' : BigInt(id as string | number).toString(16);
}

/** etcdctl ends with `Error: …`, after lines of its client's log. */
function lastWords(stderr: string): string {
  const lines = stderr.trim().split('\n');
  return (lines.findLast((line) => line.startsWith('Error: ')) ?? lines.at(-1) ?? '').replace(/^Error: /, '');
}
