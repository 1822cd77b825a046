import { isIPv4 } from 'node:net';
import { Readable } from 'node:stream';
import { listUsers } from '../../../access/users.ts';
import { messageOf } from '../../../base/errors.ts';
import { command, type Words, words } from '../../../base/words.ts';
import type { HostedCluster } from '../../../kube/hosted-cluster.ts';
import type { InfraCluster } from '../../../kube/infra-cluster.ts';
import type { Container, Node, Pod } from '../../../kube/objects.ts';
import { isReady, podsOf } from '../../../live/pods.ts';
import { unlocked } from '../../../pki/authority.ts';
import { inspect } from '../../../pki/inspect.ts';
import { type Credential, issueLeaf } from '../../../pki/issue.ts';
import type { AuthorityName } from '../../../pki/table.ts';
import { egressName } from '../../../plane/components/kube-apiserver/egress/egress.ts';

/** What a kubelet shows and answers, asked from beside the API server. */
interface KubeletAnswer {
  name: string;
  /** Why it could not be asked. */
  error?: Words;
  /** PEM of its serving certificate. */
  certificate?: string;
  /** HTTP status for a client of the new authority that may do nothing: 401 when the kubelet does not trust it, else 403. */
  status?: number;
}

/** An authority that workers know, since its new one signs. */
interface Switched {
  name: AuthorityName;
  since: Date;
}

/** The controller-manager lets certificates begin so many milliseconds before it signs them. */
const backdated = 5 * 60_000;

/**
 * What is known to use an old authority still, or not known not to; each with why. Told workers have made all of their
 * certificates anew, so the one that can be seen, the serving one, stands for the client certificate too. Pure.
 */
export function workersWithoutCa(answers: KubeletAnswer[], switched: Switched[]): Words[] {
  const latest = new Date(Math.max(...switched.map(({ since }) => since.getTime())));
  return answers.flatMap(({ name, error, certificate, status }) => {
    if (error !== undefined || certificate === undefined)
      return [words`worker ${name} (cannot be asked: ${error ?? ''})`];
    const made = new Date(inspect(certificate).notBefore.getTime() + backdated);
    if (made < latest) return `worker ${name} (has its certificates of ${made.toISOString()})`;
    if (status === 401 && switched.some((each) => each.name === 'ca')) return `worker ${name} (has the old ca.pem)`;
    return [];
  });
}

/**
 * Whoever may make Nodes decides which addresses are dialled here, beside the gate. So only who shows a certificate of this
 * plane's kubelets is sent anything, as at the gate itself.
 *
 * @param authority the new one, of clients
 * @param servingCas PEM of the CAs of kubelets' serving certificates
 */
export async function askKubelets(
  cluster: InfraCluster,
  hosted: HostedCluster,
  planeId: string,
  authority: Credential,
  servingCas: string,
): Promise<KubeletAnswer[]> {
  const { items } = await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' });
  const kubelets = items.map(kubeletOf);
  const nodes = kubelets.filter(({ address }) => isIPv4(address));
  const strange = kubelets
    .filter(({ address }) => !isIPv4(address))
    .map(({ name }) => ({ name, error: 'its Node has no IPv4 address' }));
  if (nodes.length === 0) return strange;
  const unasked = (error: Words) => kubelets.map(({ name }) => ({ name, error }));
  const pods = await podsOf(cluster, planeId, 'kube-apiserver');
  // A plane of 0.1.0 has another program, or none, beside the API server.
  const asks = ({ name, command }: Container) => name === egressName && command?.[0] === 'node';
  const pod = pods.find((each) => isReady(each) && each.spec.containers.some(asks));
  if (!pod)
    return unasked(words`no API server that is Ready has the gate beside it; ${command('deploy')} gives it one`);
  const { certificate: cert, key } = await issueLeaf(
    unlocked(authority),
    { commonName: 'k8sk8s:may-do-nothing', usages: ['clientAuth'] },
    { days: 1 / 144 },
  );
  try {
    const { code, stdout, stderr } = await cluster.exec(pod.metadata.name, ['node', '-e', program], {
      container: egressName,
      stdin: Readable.from([JSON.stringify({ nodes, tls: { cert, key, ca: servingCas } })]),
    });
    if (code !== 0) return unasked(stderr.trim().split('\n').at(-1) ?? '');
    return [...strange, ...(JSON.parse(stdout) as KubeletAnswer[])];
  } catch (error) {
    return unasked(messageOf(error));
  }
}

function kubeletOf({ metadata: { name }, status }: Node): { name: string; address: string; port: number } {
  const address = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
  return { name, address, port: status?.daemonEndpoints?.kubeletEndpoint?.Port || 10250 };
}

/** Runs in the pod of the API server, from where kubelets can be reached: asks each once, some at a time, for 5 s at most. */
const program = `
const tls = require('tls');
let text = '';
process.stdin.on('data', (chunk) => { text += chunk; }).on('end', async () => {
  const { nodes, tls: options } = JSON.parse(text);
  const ask = ({ name, address, port }) => new Promise((resolve) => {
    const socket = tls.connect({ host: address, port, ...options });
    const end = (answer) => { clearTimeout(limit); socket.destroy(); resolve({ name, ...answer }); };
    const limit = setTimeout(() => end({ error: 'it does not answer within 5 s' }), 5000);
    socket.once('secureConnect', () => socket.write('GET /healthz HTTP/1.1\\r\\nHost: kubelet\\r\\nConnection: close\\r\\n\\r\\n'));
    socket.once('data', (data) => end({
      certificate: socket.getPeerX509Certificate().toString(),
      status: Number(/^HTTP\\/1.1 (\\d+)/.exec(data)?.[1]),
    }));
    socket.once('error', ({ message }) => end({ error: message }));
    socket.once('close', () => end({ error: 'it closed the connection' }));
  });
  const answers = [];
  const late = { error: 'not asked, since others took a minute and gave no answer' };
  const end = Date.now() + 60000;
  const next = async () => {
    for (let node; (node = nodes.shift()); )
      answers.push(Date.now() < end ? await ask(node) : { name: node.name, ...late });
  };
  await Promise.all(Array.from({ length: 32 }, next));
  console.log(JSON.stringify(answers));
});`;

/** Pods that read the old CA when they started, and users with a certificate of it: `since` when the new one signs. */
export async function clientsWithoutCa(hosted: HostedCluster, since: Date): Promise<Words[]> {
  const [{ items: pods }, users] = await Promise.all([
    hosted.list<Pod>({ apiVersion: 'v1', kind: 'Pod' }),
    listUsers(hosted),
  ]);
  return [
    ...pods.filter((pod) => readOldCa(pod, since)).map(({ metadata }) => `pod ${metadata.namespace}/${metadata.name}`),
    ...users
      .filter(({ until, revoked, changed }) => !revoked && until > new Date() && changed < since)
      .map(({ name }) => words`user ${name} (${command('user create')} makes a new kubeconfig)`),
  ];
}

/** Whether a container of it that is given the cluster's CA began to run before that was the new one too. Pure. */
export function readOldCa({ spec, status }: Pick<Pod, 'spec' | 'status'>, since: Date): boolean {
  const given = spec.volumes?.some(({ projected }) =>
    projected?.sources?.some(({ configMap }) => configMap?.name === 'kube-root-ca.crt'),
  );
  const began = status?.containerStatuses?.flatMap(({ state }) => state?.running?.startedAt ?? []) ?? [];
  return given === true && began.some((time) => new Date(time) < since);
}
