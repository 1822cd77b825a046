import type { Command } from 'commander';
import { type Finding, factsOf } from '../base/errors.ts';
import { words } from '../base/words.ts';
import { anyNamespace } from '../config/infra-identity.ts';
import type { Lifetime } from '../live/lifetime.ts';
import { probeNetwork } from '../operations/network-probe.ts';
import { besideIn } from '../operations/status/beside.ts';
import { healthOf, problemsOf } from '../operations/status/problems.ts';
import { type LogsStatus, type PlaneStatus, planeStatus } from '../operations/status/status.ts';
import { formatAge } from '../ui/age.ts';
import { printable } from '../ui/printable.ts';
import { table } from '../ui/table.ts';
import { inTerminal } from '../ui/words.ts';
import {
  addConnectionOptions,
  type ConnectionOptions,
  interruption,
  outputOption,
  reporterOf,
  withInfra,
} from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addConnectionOptions(command)
    .option('--probe-network', "first test from a short-lived pod whether the plane's network policies are enforced")
    .addOption(outputOption())
    .action(run);
}

async function run(options: ConnectionOptions & { output: string; probeNetwork?: boolean }): Promise<void> {
  await withInfra(options, async (cluster) => {
    if (options.probeNetwork)
      await probeNetwork(cluster, { reporter: reporterOf(options), timeout: 60_000, signal: interruption() });
    const status = await planeStatus(cluster);
    const problems = problemsOf(status);
    print(options, dataOf(status, problems), () => render(status, problems, new Date()));
    if (problems.length > 0) process.exitCode = 1;
  });
}

function networkWords({ network, namespace }: PlaneStatus, age: (time: string) => string): string {
  if (!network) return `not known whether they are enforced; to try: k8sk8s status --probe-network -n ${namespace}`;
  const tried = `tried ${age(network.at)} ago`;
  switch (network.policies) {
    case 'enforced':
      return `the infra cluster's network enforces them (${tried})`;
    case 'not enforced':
      return `the infra cluster's network does not enforce them (${tried}): any of its pods reaches ${network.reached.join(', ')}, where only a certificate lets in`;
    case 'unknown':
      return `not known whether they are enforced: the pod that was to tell reached nothing at all (${tried})`;
  }
}

function addressWords({ server, balancer }: PlaneStatus): string {
  return balancer && balancer.at.length > 0 ? `${server}, load balancer at ${balancer.at.join(', ')}` : server;
}

/** Where workers and pods on them reach the API server, a line each. */
function workersUse(status: PlaneStatus): string[] {
  const { workerServer, nodePort } = status;
  return [`${workerServer}${nodePort === undefined ? '' : `, node port ${nodePort}`}`, ...earlierHostsWords(status)];
}

function earlierHostsWords({ earlierHosts, hosted, namespace }: PlaneStatus): string[] {
  const dialling = (name: string) => hosted.workers.filter(({ dials }) => dials === name).map((worker) => worker.name);
  const unknown = dialling('unknown');
  return earlierHosts.map((host) => {
    const [by, unseen] = [dialling(host), unknown].map((names) => names.join(', '));
    const who = hosted.answers
      ? `dialled by ${by || 'no worker that could be asked'}`
      : 'nobody can be asked who dials it';
    const asked = hosted.answers && unseen ? `, not known of ${unseen}` : '';
    return `${host} still, an earlier name: ${who}${asked}; to end it: k8sk8s host drop ${host} -n ${namespace}`;
  });
}

function endWords({ endsAt }: Lifetime, namespace: string, now: Date): string {
  const never = `k8sk8s deploy -n ${namespace} --ttl none`;
  if (endsAt === undefined) return `not before its job "k8sk8s-lifetime" is deleted; to take that off: ${never}`;
  const left = Date.parse(endsAt) - now.getTime();
  return `at ${endsAt}, ${left > 0 ? `in ${formatAge(left)}` : 'at any moment'}, with all of its data; --ttl TIME of k8sk8s deploy changes that; never: ${never}`;
}

function sleepWords(sleepsAt: string, now: Date): string {
  const left = Date.parse(sleepsAt) - now.getTime();
  return `${left > 0 ? `in ${formatAge(left)}` : 'at any moment'} (${sleepsAt}), if nobody uses it before: sleepAfter of its HostedControlPlane`;
}

function logWords({ kept, where, report }: LogsStatus, age: (time: string) => string): string[] {
  const place =
    where.kind === 'volume' ? `on a volume of ${where.size}` : 'in the pod that keeps them, and lost with it';
  const said = report ? `, ${report.lines} lines taken` : '';
  const last = report?.lately.at(-1);
  const losses = last
    ? [`${report!.losses} times lines may be missing, the last time ${age(last.at)} ago: ${last.what}`]
    : [];
  return [`kept for ${kept} ${place}${said}; no backup has them`, ...losses];
}

/** For programs: each problem with its anchor in `findings`, and as the sentence that the screen shows in `problems`. */
function dataOf(status: PlaneStatus, findings: Finding[]): object {
  const { lacks: _, problem, ...hosted } = status.hosted;
  return {
    ...status,
    hosted: { ...hosted, problem: problem && sentenceOf(problem) },
    health: healthOf(status, findings),
    healthy: findings.length === 0,
    problems: findings.map(sentenceOf),
    findings,
  };
}

function sentenceOf(finding: Finding): string {
  const { fix } = finding;
  return inTerminal(fix ? words`${factsOf(finding)}${finding.why ? '; ' : ': '}${fix}` : factsOf(finding));
}

function describeTrust({ namespaces, audience }: { namespaces: string[]; audience: string }): string {
  const of = namespaces.includes(anyNamespace) ? 'all namespaces' : namespaces.join(', ');
  return `service accounts of ${of} are let in by tokens for the audience ${audience}`;
}

/** Pure: the same status and time give the same screen. */
export function render(status: PlaneStatus, problems: Finding[], now: Date): string {
  const age = (time: string | undefined) => (time ? formatAge(now.getTime() - Date.parse(time)) : '');
  const ready = status.hosted.workers.filter((worker) => worker.ready).length;
  const health = healthOf(status, problems);
  const nearest = status.certificates[0];
  const facts: [string, string[]][] = [
    [
      'Plane',
      [
        `${status.host} in namespace ${status.namespace}, Kubernetes ${status.version}${status.asleep ? `, asleep for ${age(status.asleep)}` : ''}`,
      ],
    ],
    [
      'Health',
      health === 'asleep'
        ? [`asleep; wake it with: k8sk8s wake -n ${status.namespace}`]
        : [health, ...problems.map(sentenceOf)],
    ],
    ...(status.lifetime ? [['Ends', [endWords(status.lifetime, status.namespace, now)]] as [string, string[]]] : []),
    ...(status.sleepsAt ? [['Sleeps', [sleepWords(status.sleepsAt, now)]] as [string, string[]]] : []),
    ['Address', [addressWords(status)]],
    ['Workers use', workersUse(status)],
    ['Storage', [`${status.storage.name}: ${status.storage.loses}`]],
    ...(status.logs ? [['Logs', logWords(status.logs, age)] as [string, string[]]] : []),
    ['Egress', [status.egress.how]],
    ...(status.trustInfra ? [['Infra', [describeTrust(status.trustInfra)]] as [string, string[]]] : []),
    ['Policies', [networkWords(status, age)]],
    [
      'Certificates',
      [
        nearest
          ? `${status.certificates.length}, the first to expire is ${nearest.name} ${nearest.days < 0 ? `${-nearest.days} days ago` : `in ${nearest.days} days`}`
          : 'none',
      ],
    ],
    [
      'Workers',
      [
        status.hosted.answers
          ? `${ready} of ${status.hosted.workers.length} Ready`
          : status.asleep
            ? 'unknown while the plane sleeps; what they run goes on'
            : 'unknown, the API does not answer',
      ],
    ],
    ['Limits', status.limits.map(inTerminal)],
  ];
  const components = table(
    ['COMPONENT', 'READY', 'RESTARTS', 'AGE', 'NODE', 'IMAGE'],
    [...status.components, ...besideIn(status).map(([, its]) => its)].map((each) => [
      each.name,
      each.count,
      String(each.restarts),
      age(each.since),
      each.node,
      each.image,
    ]),
  );
  const workers = table(
    ['WORKER', 'READY', 'KUBELET', 'ADDRESS'],
    status.hosted.workers.map((worker) => [
      worker.name,
      worker.ready ? 'yes' : `no (${worker.problem})`,
      worker.version,
      worker.address,
    ]),
  );
  const warnings = status.warnings.map(
    ({ time, object, reason, message }) => `  ${age(time)} ago  ${printable(`${object}: ${reason}: ${message}`)}`,
  );
  return [
    ...facts.map(([name, lines]) => `${`${name}:`.padEnd(14)}${lines.map(printable).join(`\n${' '.repeat(14)}`)}`),
    '',
    components,
    ...(status.hosted.workers.length > 0 ? ['', workers] : []),
    ...(warnings.length > 0 ? ['', 'Last warnings:', ...warnings] : []),
  ].join('\n');
}
