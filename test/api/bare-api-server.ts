import { type Credential, createKeyPair, issueLeaf } from '../../src/pki/issue.ts';

interface BareApiServer {
  /** Where it listens. */
  address: string;
  port: number;
  /** URLs of the members of etcd. */
  etcd: string[];
  /** The CA of its clients, which issues its serving certificate, too. */
  authority: Credential;
  /** Writes a file that a flag names. @returns its path */
  file(name: string, content: string): string;
}

/** Flags of a kube-apiserver that runs as a process on loopback, and the files that they name. */
export async function bareApiServerFlags({ address, port, etcd, authority, file }: BareApiServer): Promise<string[]> {
  const serving = await issueLeaf(authority, {
    commonName: 'kube-apiserver',
    dnsNames: ['localhost'],
    ipAddresses: [address],
    usages: ['serverAuth'],
  });
  const { publicKey, privateKey } = await createKeyPair('ec');
  return [
    `--etcd-servers=${etcd.join(',')}`,
    `--bind-address=${address}`,
    `--secure-port=${port}`,
    `--client-ca-file=${file('ca.crt', authority.certificate)}`,
    `--tls-cert-file=${file('serving.crt', serving.certificate)}`,
    `--tls-private-key-file=${file('serving.key', serving.key)}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('sa.pub', publicKey)}`,
    `--service-account-signing-key-file=${file('sa.key', privateKey)}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    // Its own service has no endpoints: an API server on loopback may not be one.
    '--endpoint-reconciler-type=none',
  ];
}
