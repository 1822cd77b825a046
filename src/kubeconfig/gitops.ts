import { dump } from 'js-yaml';
import { buildKubeconfig, type KubeconfigRequest } from './build.ts';

/** A cluster with a client certificate or a token, and the namespace of the program that reads the Secret. */
interface GitopsRequest extends Omit<KubeconfigRequest, 'namespace' | 'client'> {
  client: { certificate: string; key: string } | { token: string };
  namespace: string;
}

/**
 * The Secret by which Argo CD knows a cluster
 * (https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters). YAML.
 */
export function argocdSecret({ server, certificateAuthority, clusterName, client, namespace }: GitopsRequest): string {
  const base64 = (pem: string) => Buffer.from(pem, 'utf8').toString('base64');
  const caData = base64(certificateAuthority);
  const config =
    'token' in client
      ? { bearerToken: client.token, tlsClientConfig: { caData } }
      : { tlsClientConfig: { caData, certData: base64(client.certificate), keyData: base64(client.key) } };
  return secret(
    clusterName,
    namespace,
    { 'argocd.argoproj.io/secret-type': 'cluster' },
    {
      name: clusterName,
      server,
      config: JSON.stringify(config),
    },
  );
}

/** The Secret that `spec.kubeConfig.secretRef` of Flux's objects names (https://fluxcd.io/flux/components/kustomize/kustomizations/#kubeconfig-remote-clusters). YAML. */
export function fluxSecret({ namespace, ...request }: GitopsRequest): string {
  return secret(request.clusterName, namespace, {}, { value: buildKubeconfig(request) });
}

function secret(
  cluster: string,
  namespace: string,
  labels: Record<string, string>,
  stringData: Record<string, string>,
): string {
  // An address in place of a name, with colons, would be no name of an object.
  const name = `k8sk8s-${cluster.toLowerCase().replace(/[^a-z0-9.-]/g, '-')}`;
  const metadata = { name, namespace, labels: { 'app.kubernetes.io/part-of': 'k8sk8s', ...labels } };
  return dump({ apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', stringData }, { lineWidth: -1 });
}
