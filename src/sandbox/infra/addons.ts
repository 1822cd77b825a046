import { waitUntil } from '../process.ts';
import type { SandboxState } from '../state.ts';
import coredns from './coredns.yaml';
import type { InfraCredentials } from './credentials.ts';
import { adminKubectl } from './kubectl.ts';
import localPath from './local-path.yaml';
import traefik from './traefik.yaml';

/** CoreDNS, the ingress controller and the storage provisioner. They are applied before any node is ready, and start with it. */
export async function applyAddons(kubectl: string, credentials: InfraCredentials): Promise<void> {
  const manifests = [coredns, traefik, localPath].join('---\n');
  await adminKubectl(kubectl, credentials, ['apply', '--server-side', '--force-conflicts', '-f', '-'], manifests);
}

export async function nodesReady(kubectl: string, credentials: InfraCredentials, state: SandboxState): Promise<void> {
  const expected = state.machines.filter(({ role }) => role === 'infra').length;
  await waitUntil(`the readiness of ${expected} infra nodes`, 90, async () => {
    const lines = (await adminKubectl(kubectl, credentials, ['get', 'nodes', '--no-headers'])).split('\n');
    return lines.filter((line) => / Ready /.test(line)).length >= expected || undefined;
  });
}

export async function addonsReady(
  kubectl: string,
  credentials: InfraCredentials,
  report: (waitingFor: string) => void,
): Promise<void> {
  await waitUntil(
    'the readiness of the add-ons',
    120,
    async () => {
      const lines = (
        await adminKubectl(kubectl, credentials, [
          'get',
          'deployments',
          '-A',
          '--no-headers',
          '-l',
          '!app.kubernetes.io/part-of',
        ])
      )
        .trim()
        .split('\n');
      const waiting = lines.filter((line) => !/ (\d+)\/\1 /.test(line)).map((line) => line.split(/\s+/)[1] ?? '');
      report(waiting.join(', '));
      return (lines.length >= 3 && waiting.length === 0) || undefined;
    },
    250,
  );
}
