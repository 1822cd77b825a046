import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runsAllOf } from '../test-all.ts';
import {
  closePlanes,
  itself,
  noNames,
  nothingLearnt,
  openPlanes,
  tellSeen,
  type Victim,
  victimsOf,
} from './attacks-world.ts';
import type { Neighbour } from './neighbour.ts';
import { Tenant } from './tenant.ts';
import { eventually, type Namespace, succeeded } from './world.ts';

/*
 * The administrator of a hosted cluster as an attacker, on the sandbox: what its API server can be made to reach in the infra cluster, and
 * what its certificates and tokens open there. docs/security.md has the table. How far it can disturb whoever runs k8sk8s is in
 * attacks-operator.test.ts, what takes minutes or needs a worker in attacks-long.test.ts. What a real API server and the gate alone can
 * show is in test/api/gate.test.ts.
 */

let home: Namespace;
let other: Namespace;
let neighbour: Neighbour;
let tenant: Tenant;
let victims: Victim[];

beforeAll(async () => {
  ({ home, other, neighbour, tenant } = await openPlanes('attacks'));
  victims = await victimsOf(other, neighbour);
});

afterAll(async () => {
  await closePlanes({ home, other, neighbour, tenant });
  tellSeen();
});

test('T1, T3: by Nodes: every type of address, to whatever listens, as the port of the kubelet and as another', async () => {
  const plain = await tenant.node([{ type: 'InternalIP', address: neighbour.podIp }], 1);
  const attack = async (type: string, { address, port, scheme, path: at, name }: Victim) => {
    const node = await tenant.node([{ type, address }], port);
    const uri = `/api/v1/nodes/${scheme}:${node}:${port}/proxy/${at}`;
    nothingLearnt(`Node ${type} ${name} :${port}, ${uri}`, await tenant.ask('GET', uri), itself);
    const own = `/api/v1/nodes/${node}/proxy/${at}`;
    nothingLearnt(`Node ${type} ${name} :${port}, ${own}`, await tenant.ask('GET', own), itself);
  };
  await Promise.all([
    ...victims.flatMap((victim) => ['InternalIP', 'ExternalIP'].map((type) => attack(type, victim))),
    ...[8080, 8443].map(async (port) => {
      const uri = `/api/v1/nodes/${port === 8080 ? 'http' : 'https'}:${plain}:${port}/proxy/`;
      nothingLearnt(`Node of another kubelet port, ${uri}`, await tenant.ask('GET', uri));
    }),
  ]);
});

test.runIf(runsAllOf('e2e/attacks'))('by Nodes: names, and addresses in other notations', async () => {
  const name = `neighbour.${neighbour.home.name}.svc.cluster.local`;
  const decimal = neighbour.podIp.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const addresses = [
    ...['Hostname', 'InternalDNS', 'ExternalDNS'].map((type) => [type, name]),
    ['Hostname', 'localhost'],
    ...[
      '127.0.0.2',
      '0.0.0.0',
      '224.0.0.1',
      '::1',
      '::ffff:127.0.0.1',
      `::ffff:${neighbour.podIp}`,
      '64:ff9b::a9fe:a9fe',
      `${decimal}`,
      '0x7f000001',
      '0177.0.0.1',
      '127.1',
      '10.2.0.7',
    ].map((address) => ['InternalIP', address]),
  ];
  const nodes = await Promise.all(
    addresses.map(([type, address]) => tenant.node([{ type: type!, address: address! }], 8443)),
  );
  await Promise.all(
    nodes.map(async (node, index) => {
      const uri = `/api/v1/nodes/https:${node}:8443/proxy/`;
      nothingLearnt(`Node ${addresses[index]!.join(' ')}, ${uri}`, await tenant.ask('GET', uri), itself);
    }),
  );
});

test('by Pods of their own making: proxy, logs, exec, attach, port-forward', async () => {
  const node = await tenant.node([{ type: 'InternalIP', address: neighbour.podIp }], 10250);
  const proxied = victims.flatMap((victim) => [false, true].map((hostNetwork) => ({ victim, hostNetwork })));
  await Promise.all(
    proxied.map(async ({ victim: { name, address, port, scheme, path: at }, hostNetwork }) => {
      const pod = await tenant.pod(node, address, hostNetwork);
      const uri = pod.replace(/pods\/(.*)$/, `pods/${scheme}:$1:${port}/proxy/${at}`);
      nothingLearnt(
        `Pod at ${name} :${port}, hostNetwork ${hostNetwork}, ${uri}`,
        await tenant.ask('GET', uri),
        itself,
      );
    }),
  );
  const pod = await tenant.pod(node, '10.2.0.10');
  const upgrade = { headers: { Connection: 'Upgrade', Upgrade: 'SPDY/3.1' } };
  const ways = [
    ['GET', 'log', {}],
    ['GET', 'log?insecureSkipTLSVerifyBackend=true', {}],
    ['POST', 'exec?command=id&stdout=true', upgrade],
    ['POST', 'attach?stdout=true', upgrade],
    ['POST', 'portforward', upgrade],
  ] as const;
  await Promise.all(
    ways.map(async ([method, way, request]) =>
      nothingLearnt(`Pod on that Node, ${way}`, await tenant.ask(method, `${pod}/${way}`, request)),
    ),
  );
});

test('by Services: endpoints of their own making, names, and what the API server asks of Services', async () => {
  const node = await tenant.node([{ type: 'InternalIP', address: neighbour.podIp }], 10250);
  const attack = async ({ name, address, port, scheme, path: at }: Victim) => {
    const service = await tenant.service(port, address, await tenant.pod(node, address));
    const uri = `/api/v1/namespaces/default/services/${scheme}:${service}:443/proxy/${at}`;
    nothingLearnt(`Service at ${name} :${port}, ${uri}`, await tenant.askService(uri));
    nothingLearnt(
      `Service at ${name} :${port}, as a webhook`,
      await tenant.webhook({ service: { namespace: 'default', name: service } }),
    );
  };
  // Endpoints at loopback and link-local addresses are refused when they are written.
  await Promise.all(victims.filter(({ address }) => !/^(127|169)\./.test(address)).map(attack));
  const slice = await tenant.create({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'loopback', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: 'IPv4',
    ports: [{ name: 'p', port: 443 }],
    endpoints: [{ addresses: ['127.0.0.1'] }],
  });
  nothingLearnt('EndpointSlice at 127.0.0.1', slice, /loopback/);
  const named = tenant.fresh('named');
  const externalName = `neighbour.${neighbour.home.name}.svc.cluster.local`;
  const spec = { type: 'ExternalName', externalName, ports: [{ port: 443 }] };
  await tenant.made({ apiVersion: 'v1', kind: 'Service', metadata: { name: named }, spec });
  nothingLearnt(
    'Service with externalName, as a webhook',
    await tenant.webhook({ service: { namespace: 'default', name: named } }),
    /unsupported service type/,
  );
  nothingLearnt(
    'Service kubernetes, as a webhook that the API server would ask with its own credential',
    await tenant.webhook({ service: { namespace: 'default', name: 'kubernetes', path: '/api/v1/namespaces' } }),
    // Upstream's API server asks itself, past the gate, and so reaches nobody else.
    /AdmissionReview in version \\?"v1\\?" cannot be handled as a Namespace/,
  );
  const external = { ports: [{ port: 443 }], externalIPs: [neighbour.podIp] };
  nothingLearnt(
    'Service with externalIPs',
    await tenant.create({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'external' }, spec: external }),
    /Use of external IPs is denied/,
  );
});

test('by an API of their own that a Service serves', async () => {
  const answer = await tenant.aggregated(await tenant.service(8443, neighbour.podIp));
  nothingLearnt('APIService with insecureSkipTLSVerify', answer, /service unavailable|not found|refused by the gate/);
});

test('T2: by URL: webhooks and conversions', async () => {
  const { podIp, serviceIp } = neighbour;
  const decimal = podIp.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const urls = [
    ...victims.map(({ address, port, path: at }) => `https://${address}:${port}/${at}`),
    `https://${serviceIp}/`,
    `https://neighbour.${neighbour.home.name}.svc.cluster.local/`,
    `https://neighbour.${neighbour.home.name}/`,
    'https://localhost:10250/',
    'https://[::1]:10250/',
    'https://[::ffff:127.0.0.1]:10250/',
    `https://[::ffff:${podIp}]:8443/`,
    `https://[64:ff9b::${podIp}]:8443/`,
    `https://${decimal}:8443/`,
    'https://0x7f000001:10250/',
    'https://0177.0.0.1:10250/',
    'https://127.1:10250/',
    'https://0.0.0.0:10250/',
    'https://100.64.0.1/',
    'https://[fd00:ec2::254]/latest/meta-data/',
    'https://metadata.google.internal/computeMetadata/v1/',
  ];
  await Promise.all([
    ...urls.map(async (url) => nothingLearnt(`webhook ${url}`, await tenant.webhook({ url }))),
    ...[`https://${podIp}:8443/`, 'https://169.254.169.254/'].map(async (url) =>
      nothingLearnt(`conversion ${url}`, await tenant.conversion(url)),
    ),
    // The API server takes this one for itself, and would go there with its own credential, past the gate.
    ...['https://kubernetes.default.svc/version', 'https://kubernetes.default.svc:443/'].map(async (url) =>
      nothingLearnt(`webhook ${url}`, await tenant.webhook({ url }), noNames),
    ),
  ]);
});

test('the neighbour has seen handshakes of the gate at the port of a kubelet, and no request', async () => {
  // A Node claims each of its ports as that of its kubelet. A line comes into the log a moment after the connection.
  const handshakes = new Set(['CONNECTION 8080', 'CONNECTION 8443', 'CONNECTION 10250']);
  await eventually(20, async () => expect(new Set(await neighbour.visitors())).toEqual(handshakes));
});

describe('by certificates and tokens', () => {
  /** @returns a request for a certificate, and the key to it */
  const requestFor = (subject: string, extension?: string) => {
    const folder = path.join(home.cwd, tenant.fresh('csr'));
    execFileSync('mkdir', ['-p', folder]);
    const args = [
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      subject,
    ];
    const files = ['-keyout', path.join(folder, 'key'), '-out', path.join(folder, 'csr')];
    execFileSync('openssl', [...args, ...files, ...(extension ? ['-addext', extension] : [])], { stdio: 'ignore' });
    const read = (name: string) => readFileSync(path.join(folder, name), 'utf8');
    return { request: read('csr'), key: read('key') };
  };
  const client = ['digital signature', 'client auth'];
  /** Servers that are none of the tenant's. */
  const strangers = async () => {
    const infra = await home.infra('config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}');
    return [succeeded(infra).stdout, new Tenant(other).server];
  };
  const unknownThere = async (what: string, as: { cert: string; key: string } | { token: string }) => {
    for (const server of await strangers()) {
      const answer = await tenant.ask('GET', '/api/v1/namespaces/kube-system/secrets', { server, as });
      nothingLearnt(`${what} at ${server}`, answer, /Unauthorized|Forbidden/);
    }
  };

  test('nobody is signed into system:masters, and there is no signer for the rest', async () => {
    const { request } = requestFor('/O=system:masters/CN=mallory');
    const masters = await tenant.signed(request, 'kubernetes.io/kube-apiserver-client', client);
    nothingLearnt('request for system:masters', masters.answer, /system:masters/);
    const other = requestFor('/CN=mallory').request;
    const legacy = await tenant.signed(other, 'kubernetes.io/legacy-unknown', client);
    nothingLearnt('request to kubernetes.io/legacy-unknown', legacy.answer, /legacy signerName is not allowed/);
  });

  test("another node's client certificate, and the administrator's, are worth nothing elsewhere", async () => {
    const { request, key } = requestFor('/O=system:nodes/CN=system:node:worker-9');
    const { certificate } = await tenant.signed(request, 'kubernetes.io/kube-apiserver-client-kubelet', client);
    // Within its own cluster the administrator may have that: it is one of its own nodes.
    expect(certificate).toBeDefined();
    await unknownThere("a node's client certificate", { cert: certificate!, key });
    const token = await tenant.ask('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    });
    const { status } = JSON.parse(token.body) as { status: { token: string } };
    await unknownThere("a ServiceAccount's token", status);
    const asked = succeeded(await home.hosted(['config', 'view', '--raw', '-o', 'json'])).stdout;
    const [{ user }] = (JSON.parse(asked) as { users: [{ user: Record<string, string> }] }).users;
    const decoded = (field: string) => Buffer.from(user[field]!, 'base64').toString('utf8');
    const admin = { cert: decoded('client-certificate-data'), key: decoded('client-key-data') };
    await unknownThere("the administrator's certificate", admin);
  });

  test("a serving certificate for a neighbour's address opens nothing: the key is not there", async () => {
    const subject = '/O=system:nodes/CN=system:node:worker-9';
    const { request, key } = requestFor(subject, `subjectAltName=IP:${neighbour.podIp}`);
    const node = { cert: '', key };
    const own = await tenant.signed(requestFor(subject).request, 'kubernetes.io/kube-apiserver-client-kubelet', client);
    node.cert = own.certificate!;
    const usages = ['digital signature', 'server auth'];
    // Whoever asks for a serving certificate has to be that node; the tenant may act as any.
    const answer = await tenant.ask('POST', '/apis/certificates.k8s.io/v1/certificatesigningrequests', {
      headers: { 'Impersonate-User': 'system:node:worker-9', 'Impersonate-Group': 'system:nodes' },
      body: {
        metadata: { name: 'neighbour' },
        spec: {
          request: Buffer.from(request).toString('base64'),
          signerName: 'kubernetes.io/kubelet-serving',
          usages,
        },
      },
    });
    expect(answer.status, answer.body).toBe(201);
    await home.ask('certificate', 'approve', 'neighbour');
    await eventually(20, async () => {
      expect(await home.ask('get', 'csr', 'neighbour', '-o', 'jsonpath={.status.certificate}')).not.toBe('');
    });
    const name = await tenant.node([{ type: 'InternalIP', address: neighbour.podIp }], 10250);
    const uri = `/api/v1/nodes/${name}/proxy/`;
    nothingLearnt(`a signed serving certificate for a neighbour, ${uri}`, await tenant.ask('GET', uri));
  });

  test("an operator who looks at the plane's front-proxy, flags and profiles by its API finds no door", async () => {
    const impersonation = { 'X-Remote-User': 'admin', 'X-Remote-Group': 'system:masters' };
    const remote = await tenant.ask('GET', '/api/v1/secrets', {
      server: tenant.server,
      as: { token: '' },
      headers: impersonation,
    });
    nothingLearnt('X-Remote-User without the front proxy', remote, /Unauthorized|Forbidden|forbidden/);
    for (const [method, at] of [
      ['PUT', '/debug/flags/v'],
      ['GET', '/debug/pprof/profile'],
      ['GET', '/logs/'],
    ] as const)
      nothingLearnt(
        `${method} ${at}`,
        await tenant.ask(method, at),
        /not found|could not find|page not found|Forbidden/i,
      );
  });
});
