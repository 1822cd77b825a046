import { readFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from 'js-yaml';
import { expect } from 'vitest';
import { thingsConvertedBy } from '../converted-by.ts';
import { eventually, type Namespace } from './world.ts';

export interface Answer {
  /** 0 where there was none. */
  status: number;
  body: string;
}

interface Request {
  body?: object;
  type?: string;
  headers?: Record<string, string>;
  /** Another server than the hosted cluster's, whose certificate is not looked at. */
  server?: string;
  /** Another credential than the administrator's. */
  as?: { cert: string; key: string } | { token: string };
}

const plural: Record<string, string> = {
  Node: '/api/v1/nodes',
  Pod: '/api/v1/namespaces/default/pods',
  Service: '/api/v1/namespaces/default/services',
  EndpointSlice: '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices',
  APIService: '/apis/apiregistration.k8s.io/v1/apiservices',
  CustomResourceDefinition: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
  ValidatingWebhookConfiguration: '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations',
  CertificateSigningRequest: '/apis/certificates.k8s.io/v1/certificatesigningrequests',
};

/**
 * The administrator of a hosted cluster who looks around in the infra cluster by it. Requests are made without kubectl, which would
 * not send all of them, and by tls/kubeconfig, which is all that a tenant has.
 */
class Requests {
  readonly server: string;
  readonly #agent: https.Agent;
  #count = 0;

  /** @param kubeconfig in the folder of `home` */
  constructor(home: Namespace, kubeconfig = 'tls/kubeconfig') {
    const file = readFileSync(path.join(home.cwd, kubeconfig), 'utf8');
    const { clusters, users } = load(file) as {
      clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
      users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[];
    };
    const decoded = (data: string) => Buffer.from(data, 'base64');
    const [{ cluster }, { user }] = [clusters[0]!, users[0]!];
    this.server = cluster.server;
    this.#agent = new https.Agent({
      keepAlive: true,
      ca: decoded(cluster['certificate-authority-data']),
      cert: decoded(user['client-certificate-data']),
      key: decoded(user['client-key-data']),
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  ask(method: string, at: string, { body, type, headers, server, as }: Request = {}): Promise<Answer> {
    const token = as && 'token' in as ? { Authorization: `Bearer ${as.token}` } : {};
    const credential = as && 'cert' in as ? as : {};
    const own = server === undefined && as === undefined;
    return new Promise((resolve) => {
      const request = https.request(
        `${server ?? this.server}${at}`,
        {
          method,
          agent: own ? this.#agent : false,
          ...(own ? {} : { rejectUnauthorized: false, ...credential }),
          headers: { 'Content-Type': type ?? 'application/json', ...token, ...headers },
          timeout: 30_000,
        },
        async (response) => resolve({ status: response.statusCode ?? 0, body: await text(response).catch(String) }),
      );
      request.once('upgrade', (response, socket) => {
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, body: 'upgraded' });
      });
      request.once('timeout', () => request.destroy(new Error('no answer within 30 s')));
      request.once('error', (error) => resolve({ status: 0, body: String(error) }));
      request.end(body && JSON.stringify(body));
    });
  }

  fresh(kind: string): string {
    return `${kind}-${++this.#count}`;
  }

  /** @returns what the API server says of it */
  create(object: { kind: string; apiVersion: string; metadata: object; [field: string]: unknown }): Promise<Answer> {
    return this.ask('POST', plural[object.kind]!, { body: object });
  }

  async made(object: Parameters<Requests['create']>[0]): Promise<void> {
    const { status, body } = await this.create(object);
    if (status !== 201) throw new Error(`${object.kind}: ${status} ${body}`);
  }

  /** Webhooks, APIs and endpoints are known to the API server a moment after they were made. */
  async untilRefused(method: string, at: string, request: Request = {}): Promise<Answer> {
    for (let time = 0; ; time++) {
      const answer = await this.ask(method, at, request);
      const isKnown = answer.status === 0 || answer.status >= 400;
      if ((isKnown && !/service "[^"]*" not found|no endpoints/.test(answer.body)) || time > 80) return answer;
      await sleep(250);
    }
  }
}

/** What a tenant makes to look around, and what its API server says then. */
export class Tenant extends Requests {
  /** A Node with whatever addresses, of which it says that its kubelet listens at `port`. */
  async node(addresses: { type: string; address: string }[], port: number): Promise<string> {
    const name = this.fresh('node');
    const daemonEndpoints = { kubeletEndpoint: { Port: port } };
    await this.made({ apiVersion: 'v1', kind: 'Node', metadata: { name }, status: { addresses, daemonEndpoints } });
    return name;
  }

  /** A Pod that says it runs, with an address of its own choice. @returns its path */
  async pod(nodeName: string, podIP: string, hostNetwork = false): Promise<string> {
    const name = this.fresh('pod');
    const spec = { nodeName, hostNetwork, containers: [{ name: 'x', image: 'x' }] };
    await this.made({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec });
    const container = { name: 'x', image: 'x', imageID: 'x', ready: true, restartCount: 0, state: { running: {} } };
    const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], containerStatuses: [container] };
    const at = `${plural.Pod}/${name}`;
    await this.ask('PATCH', `${at}/status`, { body: { status }, type: 'application/merge-patch+json' });
    return at;
  }

  /**
   * A Service whose endpoints are written by hand.
   *
   * @param pod path of a Pod that they say to be of: a Service's proxy goes to no other
   */
  async service(port: number, address: string, pod?: string): Promise<string> {
    const name = this.fresh('service');
    const targetRef = pod && { kind: 'Pod', namespace: 'default', name: pod.split('/').at(-1) };
    const ports = [{ name: 'p', port: 443, targetPort: port }];
    await this.made({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { ports } });
    await this.made({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'p', port }],
      endpoints: [{ addresses: [address], conditions: { ready: true }, targetRef }],
    });
    return name;
  }

  /** GET by the proxy of a Service, once the API server knows its endpoints, which is a moment after they were made. */
  askService(uri: string): Promise<Answer> {
    return eventually(20, async () => {
      const answer = await this.ask('GET', uri);
      expect(answer.body).not.toContain('no endpoints');
      return answer;
    });
  }

  /** What the API server says when it has to call a webhook. */
  async webhook(clientConfig: object): Promise<Answer> {
    const name = this.fresh('webhook');
    await this.made({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name },
      webhooks: [
        {
          name: `${name}.test.k8sk8s.io`,
          clientConfig,
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
          objectSelector: { matchLabels: { asks: name } },
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          failurePolicy: 'Fail',
          timeoutSeconds: 10,
        },
      ],
    });
    const metadata = { generateName: 'x-', labels: { asks: name } };
    return this.untilRefused('POST', '/api/v1/namespaces/default/configmaps?dryRun=All', { body: { metadata } });
  }

  /** An API of its own, with another version that has to be converted by `url`. */
  async conversion(url: string): Promise<Answer> {
    const group = `${this.fresh('group')}.test.k8sk8s.io`;
    await this.made(thingsConvertedBy(url, group));
    const body = { apiVersion: `${group}/v1`, kind: 'Thing', metadata: { name: 'x' } };
    for (let time = 0; time < 80; time++) {
      if ((await this.ask('POST', `/apis/${group}/v1/things`, { body })).status !== 404) break;
      await sleep(250);
    }
    return this.ask('GET', `/apis/${group}/v2/things/x`);
  }

  /** An API of its own, served by whoever is behind a Service. */
  async aggregated(service: string): Promise<Answer> {
    const group = `${this.fresh('group')}.test.k8sk8s.io`;
    const name = `v1.${group}`;
    await this.made({
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name },
      spec: {
        group,
        version: 'v1',
        service: { namespace: 'default', name: service },
        insecureSkipTLSVerify: true,
        groupPriorityMinimum: 100,
        versionPriority: 100,
      },
    });
    await sleep(1500);
    const answer = await this.ask('GET', `/apis/${group}/v1/things`);
    await this.ask('DELETE', `${plural.APIService}/${name}`);
    return answer;
  }

  /** Has its own request for a certificate approved, by itself. @returns the certificate, or what the API server says */
  async signed(
    request: string,
    signerName: string,
    usages: string[],
  ): Promise<{ answer: Answer; certificate?: string }> {
    const name = this.fresh('request');
    const at = `${plural.CertificateSigningRequest}/${name}`;
    const answer = await this.create({
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name },
      spec: { request: Buffer.from(request).toString('base64'), signerName, usages },
    });
    if (answer.status !== 201) return { answer };
    const made = JSON.parse(answer.body) as { status: object };
    made.status = { conditions: [{ type: 'Approved', status: 'True', reason: 'Mine', message: 'mine' }] };
    const approval = await this.ask('PUT', `${at}/approval`, { body: made });
    for (let time = 0; time < 80; time++) {
      const { status } = JSON.parse((await this.ask('GET', at)).body) as { status?: { certificate?: string } };
      if (status?.certificate)
        return { answer: approval, certificate: Buffer.from(status.certificate, 'base64').toString('utf8') };
      await sleep(250);
    }
    return { answer: approval };
  }
}
