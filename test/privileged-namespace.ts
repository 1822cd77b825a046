import { sandboxEnvironment } from '../src/sandbox/delegate.ts';
import { connectByFile } from './connect-by-file.ts';

/** What an administrator of a sandbox's infra cluster does for worker pods. */
export async function allowPrivilegedPods(sandbox: string, namespace: string): Promise<void> {
  const admin = connectByFile((await sandboxEnvironment({ name: sandbox, admin: true })).kubeconfig, namespace);
  await admin.transport.request({
    method: 'PATCH',
    path: `/api/v1/namespaces/${namespace}`,
    body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } } },
    contentType: 'application/merge-patch+json',
  });
  await admin.close();
}
