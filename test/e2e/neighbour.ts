import { expect } from 'vitest';
import { otherImages } from '../../src/config/versions.ts';
import { createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { asInfraAdmin, eventually, kubectl, Namespace, run, succeeded } from './world.ts';

/** What whoever gets an answer of the neighbour has read. */
export const secret = 'SECRET-OF-A-NEIGHBOUR';

/**
 * Somebody else's pod in the infra cluster, which has a Service, serves HTTP at 8080 and HTTPS at 8443 and 10250, and notes who came by:
 * the measure of what a tenant reaches.
 */
export class Neighbour {
  readonly home: Namespace;
  readonly podIp: string;
  readonly serviceIp: string;

  private constructor(home: Namespace, podIp: string, serviceIp: string) {
    this.home = home;
    this.podIp = podIp;
    this.serviceIp = serviceIp;
  }

  static async moveIn(name: string): Promise<Neighbour> {
    const home = await Namespace.open(name);
    const leaf = await issueLeaf(await createAuthority('neighbour'), {
      commonName: 'neighbour',
      usages: ['serverAuth'],
    });
    await apply(home, manifest(leaf.certificate, leaf.key));
    return eventually(60, async () => {
      expect(succeeded(await home.infra('logs', 'neighbour')).stdout).toContain('LISTENING');
      const found = await home.infra('get', 'pod/neighbour', 'service/neighbour', '-o', `jsonpath=${fields}`);
      const [podIp = '', serviceIp = ''] = succeeded(found).stdout.split(' ');
      return new Neighbour(home, podIp, serviceIp);
    });
  }

  /** Lines `CONNECTION PORT` and `REQUEST PORT PATH`. */
  async visitors(): Promise<string[]> {
    const { stdout } = succeeded(await asInfraAdmin('-n', this.home.name, 'logs', 'neighbour'));
    return stdout.split('\n').filter((line) => /^(CONNECTION|REQUEST)/.test(line));
  }

  async moveOut(): Promise<void> {
    await asInfraAdmin('-n', this.home.name, 'delete', 'pod,service,secret', '-l', 'app=neighbour', '--wait=false');
  }
}

const fields = '{.items[0].status.podIP} {.items[1].spec.clusterIP}';

async function apply(home: Namespace, text: string): Promise<void> {
  const { env } = home;
  succeeded(await run(kubectl, ['-n', home.name, 'apply', '-f', '-'], { env, cwd: home.cwd, input: text }));
}

const program = `
const http = require('http'), https = require('https');
const serve = (server, port) => server.on('connection', () => console.log('CONNECTION ' + port)).listen(port, '0.0.0.0');
const answer = (port) => (request, response) => { console.log('REQUEST ' + port + ' ' + request.url); response.end('${secret}'); };
serve(http.createServer(answer(8080)), 8080);
for (const port of [8443, 10250]) serve(https.createServer({ cert: process.env.CERT, key: process.env.KEY }, answer(port)), port);
setTimeout(() => console.log('LISTENING'), 100);
`;

function manifest(cert: string, key: string): string {
  const labels = { app: 'neighbour' };
  const metadata = { name: 'neighbour', labels };
  const container = {
    name: 'neighbour',
    image: otherImages.node,
    command: ['node', '-e', program],
    env: [
      { name: 'CERT', value: cert },
      { name: 'KEY', value: key },
    ],
    resources: { requests: { cpu: '5m', memory: '32Mi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      runAsNonRoot: true,
      runAsUser: 65532,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
  const ports = [
    { name: 'http', port: 80, targetPort: 8080 },
    { name: 'https', port: 443, targetPort: 8443 },
  ];
  const spec = { terminationGracePeriodSeconds: 0, containers: [container] };
  return [
    { apiVersion: 'v1', kind: 'Pod', metadata, spec },
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: labels, ports } },
  ]
    .map((object) => JSON.stringify(object))
    .join('\n---\n');
}
