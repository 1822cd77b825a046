import { workerFolder } from '../../access/worker-script.ts';
import { type Finding, firstFew } from '../../base/errors.ts';
import { command, shellWord, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { workerStatus } from '../../hosted/workers.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { KubeObject, Node, Pod } from '../../kube/objects.ts';
import { describeProblem, type PodProblem, podProblems } from '../../live/pod-problems.ts';
import { isReady } from '../../live/pods.ts';
import { appsOfDrivers } from '../../plane/networks/table.ts';
import { type SigningRequest, signer } from '../../programs/approver/decide.ts';
import { judgeRequest } from '../../programs/approver/judge.ts';

// What the users of a hosted cluster need beside its API: workers that are Ready, their pods' logs, and names that resolve.

/** Milliseconds that a worker, a pod or a certificate of the hosted cluster may take before it counts as in trouble. */
const grace = 60_000;

/** Of the pods that k8sk8s gives the workers, by their label `k8s-app`. */
const apps = [
  'kube-dns',
  'kube-proxy',
  ...appsOfDrivers,
  'kubelet-serving-approver',
  'konnectivity-agent',
  'k8sk8s-tunnel-agent',
];

/** discovery.k8s.io/v1 EndpointSlice, as far as it is read. */
interface EndpointSlice extends KubeObject {
  endpoints?: { conditions?: { ready?: boolean } }[];
}

type Request = SigningRequest & KubeObject;

/** What is read of the hosted cluster. */
export interface Needs {
  nodes: Node[];
  /** Those of `apps`. */
  pods: Pod[];
  /** Of service kube-dns. */
  slices: EndpointSlice[];
  /** Of kubelets, for their serving certificates. */
  requests: Request[];
  /** What CoreDNS said when it ended last, where it did not run. */
  lastWords?: string;
}

export async function readNeeds(hosted: HostedCluster, nodes: Node[]): Promise<Needs> {
  const namespace = 'kube-system';
  const [pods, slices, requests] = await Promise.all([
    hosted.list<Pod>({ apiVersion: 'v1', kind: 'Pod' }, { namespace, labelSelector: `k8s-app in (${apps.join(',')})` }),
    hosted.list<EndpointSlice>(
      { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' },
      { namespace, labelSelector: 'kubernetes.io/service-name=kube-dns' },
    ),
    hosted.list<Request>(
      { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest' },
      { fieldSelector: `spec.signerName=${signer}` },
    ),
  ]);
  const dns = pods.items.find((pod) => appOf(pod) === 'kube-dns' && gravest(pod)?.kind === 'crash-loop');
  return {
    nodes,
    pods: pods.items,
    slices: slices.items,
    requests: requests.items,
    lastWords: dns && (await lastWordsOf(hosted, dns)),
  };
}

/** Through the kubelet, which may be what does not answer. */
async function lastWordsOf({ transport }: HostedCluster, { metadata: { name, namespace } }: Pod): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/log`;
  const query = { previous: true, tailLines: 3 };
  const answer = await transport
    .request<string>({ method: 'GET', path, query, text: true, retries: 0, timeout: 3000 })
    .catch(() => undefined);
  return answer?.body.trim() ?? '';
}

/** What the users of a hosted cluster lack. A cluster without workers lacks nothing. Pure. */
export function needsProblems(
  needs: Needs,
  spec: Pick<ClusterSpec, 'childAssets'>,
  namespace: string,
  now: Date,
): Finding[] {
  return [
    ...workerProblems(needs.nodes, namespace),
    ...addressProblems(needs.nodes),
    ...requestProblems(needs, namespace, now),
    ...(spec.childAssets ? dnsProblems(needs, namespace, now) : []),
    ...podsProblems(needs),
  ];
}

function workerProblems(nodes: Node[], namespace: string): Finding[] {
  const lost = nodes.map(workerStatus).filter(({ ready }) => !ready);
  if (lost.length === 0) return [];
  const none = lost.length === nodes.length;
  return [
    {
      what: `${none ? 'no worker is Ready' : `${lost.length} of ${nodes.length} workers are not Ready`}: ${few(lost.map(({ name, problem }) => `${name} (${problem})`))}`,
      fix: words`look at the kubelet there (journalctl -u kubelet), and whether it reaches the address that ${command('status', namespace)} shows for workers; kubectl delete node takes a worker away that does not come back`,
      anchor: 'worker-not-ready',
      severity: 'fatal',
    },
  ];
}

function addressProblems(nodes: Node[]): Finding[] {
  const holders = new Map<string, Set<string>>();
  for (const { metadata, status } of nodes)
    for (const { type, address } of status?.addresses ?? [])
      if (type === 'InternalIP') holders.set(address, (holders.get(address) ?? new Set()).add(metadata.name));
  return firstFew(
    [...holders].filter(([, names]) => names.size > 1),
    ([address, names]) => ({
      what: `workers ${few([...names])} have one address, ${address}`,
      why: 'traffic for one of them reaches the other, and neither gets a serving certificate for that address',
      fix: `give each worker its own address (NODE_IP=ADDRESS sh ${workerFolder}/worker.sh configure, and restart the kubelet), and delete the Node of a machine that is gone`,
      anchor: 'worker-address-twice',
      severity: 'fatal',
    }),
    (more) => `${more} other addresses are those of more than one worker, too`,
  );
}

function requestProblems({ requests, nodes }: Needs, namespace: string, now: Date): Finding[] {
  const newest = new Map<string, Request>();
  for (const each of requests.toSorted((a, b) => madeAt(a) - madeAt(b))) newest.set(each.spec.username ?? '', each);
  return firstFew(
    [...newest.values()]
      .filter(({ status }) => !status?.certificate)
      .filter((each) => now.getTime() - madeAt(each) > grace),
    (each) => {
      const decision = judgeRequest(each, nodes);
      return {
        what: `the serving certificate that ${each.spec.username} asks for is not ${isApproved(each) ? 'signed' : 'approved'}: logs and exec do not work there`,
        why: decision.approve
          ? `request ${each.metadata.name} is as it should be, so ${isApproved(each) ? 'kube-controller-manager of the plane' : 'deployment kube-system/kubelet-serving-approver'} does not do its work`
          : `request ${each.metadata.name}: ${decision.reason}`,
        fix: decision.approve
          ? words`look at its log; ${command('deploy', namespace)} puts it back as it was`
          : `correct what is named there, or, when you know the machine: kubectl certificate approve ${shellWord(each.metadata.name)}`,
        anchor: 'kubelet-certificate',
        severity: 'fatal',
      };
    },
    (more) => `${more} other requests of kubelets for serving certificates are not answered either`,
  );
}

function isApproved({ status }: Request): boolean {
  return status?.conditions?.some(({ type }) => type === 'Approved') ?? false;
}

function dnsProblems({ slices, pods, nodes, lastWords = '' }: Needs, namespace: string, now: Date): Finding[] {
  const ready = slices
    .flatMap(({ endpoints }) => endpoints ?? [])
    .some(({ conditions }) => conditions?.ready !== false);
  const workers = nodes.filter((node) => workerStatus(node).ready);
  if (ready || workers.length === 0) return [];
  const own = pods.filter((pod) => appOf(pod) === 'kube-dns' && !isReady(pod));
  const problem = own.map(gravest).find((each) => each !== undefined);
  // It is on its way.
  if (!isGrave(problem) && !workers.some((worker) => readySince(worker) < now.getTime() - grace)) return [];
  const loops = /Loop \(.*\) detected/.test(lastWords);
  const from = own[0]?.spec.nodeName ?? 'its worker';
  return [
    {
      what: `DNS does not answer in the hosted cluster${loops ? `: CoreDNS forwards to itself` : ''}`,
      why: loops
        ? `the resolv.conf that the kubelet of ${from} gives it names a resolver of that machine alone, such as 127.0.0.53: ${lastLine(lastWords)}`
        : problem
          ? `${describeProblem(problem, { node: 'worker' })}${lastWords && `: ${lastLine(lastWords)}`}`
          : own.length === 0
            ? 'deployment kube-system/kube-dns has no pod'
            : 'no pod of deployment kube-system/kube-dns is ready',
      fix: loops
        ? `on that worker: sh ${workerFolder}/worker.sh configure, which finds the resolvConf that pods need; restart the kubelet, and delete the pod`
        : problem?.kind === 'image-pull'
          ? words`repair the registry or the image: ${command('deploy', namespace, field('corednsImage', 'IMAGE'))}`
          : words`look at it: kubectl -n kube-system describe pods -l k8s-app=kube-dns, in the hosted cluster; ${command('deploy', namespace)} puts back what was changed or deleted`,
      anchor: 'dns-silent',
      severity: 'fatal',
    },
  ];
}

/** One for each kind of pods: what ails them is mostly the same on all workers. */
function podsProblems({ pods }: Needs): Finding[] {
  const ailing = pods.filter((pod) => isGrave(gravest(pod)));
  const found = apps.filter((app) => app !== 'kube-dns' && ailing.some((pod) => appOf(pod) === app));
  return found.map((app) => ({
    what: `${app} does not run on ${few(ailing.filter((pod) => appOf(pod) === app).map(({ spec }) => spec.nodeName ?? 'any worker'))}`,
    why: describeProblem(gravest(ailing.find((pod) => appOf(pod) === app)!)!, { node: 'worker' }),
    fix: `look at it: kubectl -n kube-system describe pods -l k8s-app=${app}, in the hosted cluster`,
    anchor: 'addon-not-running',
    severity: 'fatal',
  }));
}

function gravest(pod: Pod): PodProblem | undefined {
  return isReady(pod)
    ? undefined
    : podProblems(
        pod,
        (pod.spec.containers ?? []).map(({ name }) => name),
      )[0];
}

/** No waiting mends it, or it was tried more than once. */
function isGrave(problem: PodProblem | undefined): boolean {
  return problem !== undefined && (problem.hopeless || problem.kind === 'crash-loop');
}

function appOf({ metadata }: Pod): string {
  return metadata.labels?.['k8s-app'] ?? '';
}

function readySince({ status }: Node): number {
  return Date.parse(status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? '') || 0;
}

function madeAt({ metadata }: KubeObject): number {
  return Date.parse(metadata.creationTimestamp ?? '') || 0;
}

function lastLine(text: string): string {
  return text.split('\n').at(-1) ?? '';
}

/** The first five, and how many more there are. */
function few(names: string[]): string {
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
