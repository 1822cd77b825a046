import { readFileSync } from 'node:fs';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { decide, type NodeAddresses, type SigningRequest } from './decide.ts';
import { parseRequest } from './request.ts';

// Runs in the hosted cluster and approves the serving certificates of its kubelets. It has no state: what is pending is
// in the API, and a restart looks at all of it again.

const folder = process.env.K8SK8S_SERVICE_ACCOUNT_DIR ?? '/var/run/secrets/kubernetes.io/serviceaccount';
const server = `https://${process.env.KUBERNETES_SERVICE_HOST}:${process.env.KUBERNETES_SERVICE_PORT}`;
const agent = new https.Agent({ keepAlive: true, ca: readFileSync(`${folder}/ca.crt`) });
const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const selector = `fieldSelector=${encodeURIComponent('spec.signerName=kubernetes.io/kubelet-serving')}`;
const watchSeconds = 240;

const pending = new Map<string, SigningRequest>();
/** What was said about a request, so that it is said once. */
const said = new Map<string, string>();

process.once('SIGTERM', () => process.exit(0));
void lookAgain();
await watch();

/** Lists, then follows; for ever, whatever happens to the connection. */
async function watch(): Promise<never> {
  for (let failures = 0; ; ) {
    try {
      const list = (await call('GET', `${requests}?${selector}`)) as {
        metadata: { resourceVersion: string };
        items: SigningRequest[];
      };
      pending.clear();
      for (const item of list.items) note(item);
      await settle();
      failures = 0;
      await follow(
        `${requests}?${selector}&watch=true&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${list.metadata.resourceVersion}`,
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
    if (pending.size > 0) await settle().catch((error: Error) => console.error(error.message));
  }
}

function note(item: SigningRequest): void {
  const { name } = item.metadata;
  const decided =
    item.status?.certificate ||
    item.status?.conditions?.some(({ type }) => type === 'Approved' || type === 'Denied' || type === 'Failed');
  if (decided) {
    pending.delete(name);
    said.delete(name);
  } else pending.set(name, item);
}

async function settle(): Promise<void> {
  if (pending.size === 0) return;
  const { items: nodes } = (await call('GET', '/api/v1/nodes')) as { items: NodeAddresses[] };
  for (const [name, item] of pending) {
    const decision = judge(item, nodes);
    const words =
      decision.verdict === 'approve'
        ? `approved ${name} for node ${decision.node}`
        : `${decision.verdict === 'wait' ? 'waiting with' : 'not approving'} ${name}: ${decision.reason}`;
    if (decision.verdict === 'approve') await approve(item);
    if (said.get(name) !== words) console.log(words);
    said.set(name, words);
    // A refused one is somebody's to look at; it is judged again when it changes or the list is read anew.
    if (decision.verdict !== 'wait') pending.delete(name);
  }
}

function judge(item: SigningRequest, nodes: NodeAddresses[]): ReturnType<typeof decide> {
  try {
    return decide(item, parseRequest(Buffer.from(item.spec.request, 'base64').toString('utf8')), nodes);
  } catch (error) {
    return { verdict: 'refuse', reason: error instanceof Error ? error.message : String(error) };
  }
}

async function approve(item: SigningRequest): Promise<void> {
  const condition = {
    type: 'Approved',
    status: 'True',
    reason: 'KubeletServingApproved',
    message: 'user, organisation and names are those of the node',
  };
  const status = { ...item.status, conditions: [...(item.status?.conditions ?? []), condition] };
  await call('PUT', `${requests}/${encodeURIComponent(item.metadata.name)}/approval`, {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    ...item,
    status,
  });
}

function options(method: string, path: string): https.RequestOptions {
  // The token is read each time: the kubelet renews it.
  return {
    ...urlParts(path),
    method,
    agent,
    headers: {
      Authorization: `Bearer ${readFileSync(`${folder}/token`, 'utf8').trim()}`,
      Accept: 'application/json',
      'Content-Type': 'application/json',
      'User-Agent': 'k8sk8s-kubelet-serving-approver',
    },
  };
}

function urlParts(path: string): https.RequestOptions {
  const { hostname, port } = new URL(server);
  return { hostname, port, path };
}

function call(method: string, path: string, body?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = https.request({ ...options(method, path), timeout: 15_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject);
      response.once('end', () =>
        (response.statusCode ?? 500) < 300
          ? resolve(JSON.parse(text))
          : reject(new Error(`${method} ${path.split('?')[0]}: ${response.statusCode} ${text.slice(0, 200)}`)),
      );
    });
    request.once('timeout', () => request.destroy(new Error('no answer in time')));
    request.once('error', reject);
    request.end(body && JSON.stringify(body));
  });
}

/** Reads a watch to its end. A connection that says nothing for longer than a watch may last is dead. */
function follow(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = https.request({ ...options('GET', path), timeout: (watchSeconds + 30) * 1000 }, (response) => {
      if ((response.statusCode ?? 500) >= 300) {
        response.resume();
        reject(new Error(`the watch was answered with ${response.statusCode}`));
        return;
      }
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const event = JSON.parse(line) as { type: string; object: SigningRequest };
          if (event.type === 'ADDED' || event.type === 'MODIFIED') note(event.object);
          else if (event.type === 'DELETED') pending.delete(event.object.metadata.name);
          else if (event.type === 'ERROR') request.destroy(new Error('the watch is too old'));
        }
        settle().catch((error: Error) => console.error(error.message));
      });
      response.once('end', resolve);
      response.once('error', reject);
    });
    request.once('timeout', () => request.destroy(new Error('the watch fell silent')));
    request.once('error', reject);
    request.end();
  });
}
