import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildKubeconfig } from '../../kubeconfig/build.ts';
import { type Credential, createAuthority, createKeyPair, issueLeaf } from '../../pki/issue.ts';
import { firstInfra, type SandboxState, sandboxFolder } from '../state.ts';

/** The infra cluster's own certificates, keys and kubeconfigs: files in the sandbox's folder, made once. */
export class InfraCredentials {
  readonly folder: string;
  readonly #state: SandboxState;
  readonly #server: string;

  constructor(state: SandboxState) {
    this.#state = state;
    this.folder = path.join(sandboxFolder(state.name), 'pki');
    this.#server = apiServer(state);
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  get authority(): Credential {
    return { certificate: readFileSync(this.file('ca.crt'), 'utf8'), key: readFileSync(this.file('ca.key'), 'utf8') };
  }

  async ensure(): Promise<void> {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    if (!existsSync(this.file('ca.crt'))) this.#write('ca', await createAuthority(`sandbox ${this.#state.name}`));
    if (!existsSync(this.file('front-proxy.crt'))) {
      // This CA signs one certificate only: whoever holds that client certificate can act as any user.
      const frontProxy = await createAuthority(`sandbox ${this.#state.name} front proxy`);
      this.#put('front-proxy-ca.crt', frontProxy.certificate);
      this.#write(
        'front-proxy',
        await issueLeaf(frontProxy, { commonName: 'front-proxy-client', usages: ['clientAuth'] }),
      );
    }
    if (!existsSync(this.file('service-account.key'))) {
      const { publicKey, privateKey } = await createKeyPair('rsa');
      this.#put('service-account.pub', publicKey);
      this.#put('service-account.key', privateKey);
    }
    if (!existsSync(this.file('encryption.yaml')))
      this.#put('encryption.yaml', encryptionConfiguration(randomBytes(32).toString('base64')));
    const api = this.#state.machines.find((machine) => machine.role === 'infra')!.address;
    await this.#leaf('apiserver', {
      commonName: 'kube-apiserver',
      dnsNames: ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'localhost'],
      ipAddresses: ['10.96.0.1', '127.0.0.1', api],
      usages: ['serverAuth', 'clientAuth'],
    });
    await this.#client('admin', 'sandbox-admin', ['system:masters']);
    await this.#client('kube-controller-manager', 'system:kube-controller-manager');
    await this.#client('kube-scheduler', 'system:kube-scheduler');
    await this.#client('kube-proxy', 'system:kube-proxy');
    for (const machine of this.#state.machines.filter(({ role }) => role === 'infra')) {
      await this.#leaf(machine.name, {
        commonName: `system:node:${machine.name}`,
        organizations: ['system:nodes'],
        dnsNames: [machine.name],
        ipAddresses: [machine.address],
        usages: ['serverAuth', 'clientAuth'],
      });
      this.#kubeconfig(machine.name);
    }
  }

  /** A kubeconfig of a person with a certificate of their own. @returns its path */
  async person(commonName: string, namespace: string): Promise<string> {
    await this.#leaf(commonName, { commonName, usages: ['clientAuth'] });
    return this.#kubeconfig(commonName, namespace);
  }

  async #client(name: string, commonName: string, organizations?: string[]): Promise<void> {
    await this.#leaf(name, { commonName, organizations, usages: ['clientAuth'] });
    this.#kubeconfig(name);
  }

  async #leaf(name: string, request: Parameters<typeof issueLeaf>[1]): Promise<void> {
    if (!existsSync(this.file(`${name}.crt`))) this.#write(name, await issueLeaf(this.authority, request));
  }

  #kubeconfig(name: string, namespace?: string): string {
    const file = `${name}.kubeconfig`;
    const client = {
      certificate: readFileSync(this.file(`${name}.crt`), 'utf8'),
      key: readFileSync(this.file(`${name}.key`), 'utf8'),
    };
    this.#put(
      file,
      buildKubeconfig({
        server: this.#server,
        certificateAuthority: this.authority.certificate,
        clusterName: `sandbox-${this.#state.name}`,
        userName: name,
        client,
        namespace,
      }),
    );
    return this.file(file);
  }

  /** The key is written first: where a certificate exists, its key exists too. */
  #write(name: string, credential: Credential): void {
    this.#put(`${name}.key`, credential.key);
    this.#put(`${name}.crt`, credential.certificate);
  }

  #put(name: string, content: string): void {
    writeFileSync(this.file(name), content, { mode: 0o600 });
  }
}

export function apiServer(state: SandboxState): string {
  return `https://${firstInfra(state).address}:6443`;
}

/** https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/ */
function encryptionConfiguration(key: string): string {
  return `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox:
          keys: [{name: key1, secret: ${key}}]
      - identity: {}
`;
}
