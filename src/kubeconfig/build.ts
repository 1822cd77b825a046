import { dump } from 'js-yaml';

export interface KubeconfigRequest {
  /** `https://HOST:PORT`. */
  server: string;
  /** PEM. */
  certificateAuthority: string;
  /** Also the name of the context. */
  clusterName: string;
  userName: string;
  /** A client certificate with its key, in PEM, a bearer token, or a program that gives one. */
  client: { certificate: string; key: string } | { token: string } | { exec: object };
  /** The name that the certificate has to bear, where it is not that of the server. */
  tlsServerName?: string;
  /** More names of the same cluster, each a cluster and a context of its own. */
  further?: { name: string; server: string }[];
  /** The context's namespace; without it, `default`. */
  namespace?: string;
}

/** A kubeconfig of one cluster, one user and one context for each of its names, of which the first is current; all credentials inside (`*-data`). YAML. */
export function buildKubeconfig(request: KubeconfigRequest): string {
  const { clusterName, userName, client, namespace, tlsServerName, further = [] } = request;
  const clusters = [{ name: clusterName, server: request.server }, ...further];
  const user =
    'token' in client || 'exec' in client
      ? client
      : { 'client-certificate-data': base64(client.certificate), 'client-key-data': base64(client.key) };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: clusters.map(({ name, server }) => ({
      name,
      cluster: {
        server,
        ...(tlsServerName !== undefined && { 'tls-server-name': tlsServerName }),
        'certificate-authority-data': base64(request.certificateAuthority),
      },
    })),
    users: [{ name: userName, user }],
    contexts: clusters.map(({ name }) => ({
      name,
      context: { cluster: name, user: userName, ...(namespace !== undefined && { namespace }) },
    })),
    'current-context': clusterName,
  };
  return dump(config, { lineWidth: -1, seqNoIndent: true, noRefs: true });
}

function base64(pem: string): string {
  return Buffer.from(pem, 'utf8').toString('base64');
}
