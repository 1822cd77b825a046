import { dump } from 'js-yaml';

/**
 * A kubeconfig in a component's Secret. It names the files beside it, so that the Secret's certificates are in it once.
 *
 * @param component whose certificate is beside it, by its name in the table of pki
 * @param server the URL of the API server
 */
export function componentKubeconfig(component: string, server: string): string {
  return dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'hosted', cluster: { server, 'certificate-authority': 'ca.crt' } }],
    users: [{ name: component, user: { 'client-certificate': `${component}.crt`, 'client-key': `${component}.key` } }],
    contexts: [{ name: 'hosted', context: { cluster: 'hosted', user: component } }],
    'current-context': 'hosted',
  });
}
