import { setTimeout as sleep } from 'node:timers/promises';
import { connectApi, type WatchEvent } from './api.ts';
import { type Node, type SigningRequest, signer } from './decide.ts';
import { judgeRequest } from './judge.ts';

// Runs in the hosted cluster and approves the serving certificates of its kubelets. It has no state: what is pending is
// in the API, and a restart looks at all of it again.

const folder = process.env.K8SK8S_SERVICE_ACCOUNT_DIR ?? '/var/run/secrets/kubernetes.io/serviceaccount';
const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = process.env;
const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const selector = `fieldSelector=${encodeURIComponent(`spec.signerName=${signer}`)}`;
const watchSeconds = 240;

const api = connectApi(folder, host, port);
const pending = new Map<string, SigningRequest>();
/** What was said about a request, so that it is said once. */
const said = new Map<string, string>();
/** One look at a time: two would approve the same request twice. */
let looking: Promise<void> = Promise.resolve();

process.once('SIGTERM', () => process.exit(0));
void lookAgain();
await watch();

/** Lists, then follows; for ever, whatever happens to the connection. */
async function watch(): Promise<never> {
  for (let failures = 0; ; ) {
    try {
      const list = (await api.call('GET', `${requests}?${selector}`)) as {
        metadata: { resourceVersion: string };
        items: SigningRequest[];
      };
      pending.clear();
      for (const item of list.items) note(item);
      settle();
      failures = 0;
      await api.follow(
        `${requests}?${selector}&watch=true&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${list.metadata.resourceVersion}`,
        noteEvent,
      );
    } catch (error) {
      console.error(`cannot watch certificate requests: ${error instanceof Error ? error.message : error}`);
      failures++;
    }
    await sleep(Math.min(15_000, 500 * 2 ** failures));
  }
}

/** Requests that wait for their node are looked at again; there are none on a cluster at rest. */
async function lookAgain(): Promise<never> {
  for (;;) {
    await sleep(2000);
    settle();
  }
}

function noteEvent({ type, object }: WatchEvent): void {
  if (type === 'ADDED' || type === 'MODIFIED') note(object as SigningRequest);
  else if (type === 'DELETED') forget((object as SigningRequest).metadata.name);
  settle();
}

function note(item: SigningRequest): void {
  const { name } = item.metadata;
  const decided =
    item.status?.certificate ||
    item.status?.conditions?.some(({ type }) => type === 'Approved' || type === 'Denied' || type === 'Failed');
  if (decided) forget(name);
  else pending.set(name, item);
}

function forget(name: string): void {
  pending.delete(name);
  said.delete(name);
}

function settle(): void {
  if (pending.size > 0) looking = looking.then(look).catch((error: Error) => console.error(error.message));
}

async function look(): Promise<void> {
  if (pending.size === 0) return;
  const { items: nodes } = (await api.call('GET', '/api/v1/nodes')) as { items: Node[] };
  for (const [name, item] of pending) {
    const decision = judgeRequest(item, nodes);
    if (decision.approve) {
      await approve(item);
      say(name, `approved ${name} for ${item.spec.username}`);
    } else say(name, `not approving ${name}: ${decision.reason}`);
    // What is wrong with a request itself is somebody's to look at; the rest may come right with the nodes.
    if (decision.approve || decision.permanent) pending.delete(name);
  }
}

function say(name: string, words: string): void {
  if (said.get(name) !== words) console.log(words);
  said.set(name, words);
}

/** With the request's resourceVersion: what was judged is what is approved. */
async function approve(item: SigningRequest): Promise<void> {
  const condition = {
    type: 'Approved',
    status: 'True',
    reason: 'KubeletServingApproved',
    message: 'user, organisation and names are those of the node',
  };
  const status = { ...item.status, conditions: [...(item.status?.conditions ?? []), condition] };
  await api.call('PUT', `${requests}/${encodeURIComponent(item.metadata.name)}/approval`, {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    ...item,
    status,
  });
}
