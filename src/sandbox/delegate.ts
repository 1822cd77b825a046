import path from 'node:path';
import rights from '../../templates/rights/namespace-admin.yaml';
import { quietReporter } from '../ui/quiet.ts';
import { ensureBinaries } from './artifacts/ensure.ts';
import { findProgram } from './artifacts/programs.ts';
import { InfraCredentials } from './infra/credentials.ts';
import { adminKubectl } from './infra/kubectl.ts';
import { requireState } from './state.ts';

export interface SandboxEnvironment {
  kubeconfig: string;
  /** Folder with the sandbox's kubectl, where the box has none. */
  path?: string;
}

/**
 * A kubeconfig for the infra cluster: that of a delegated administrator, who has the README's Role in one namespace and no other
 * right, or that of the cluster's own administrator (`admin`). Namespace and rights are created if they are missing.
 */
export async function sandboxEnvironment(options: {
  name: string;
  namespace?: string;
  admin?: boolean;
}): Promise<SandboxEnvironment> {
  const state = requireState(options.name);
  const credentials = new InfraCredentials(state);
  const { kubectl } = await ensureBinaries(['kubectl'], { kubernetesVersion: state.kubernetesVersion }, quietReporter);
  const tools = (await findProgram('kubectl')) ? undefined : path.dirname(kubectl);
  if (options.admin || options.namespace === undefined)
    return { kubeconfig: credentials.file('admin.kubeconfig'), path: tools };
  const { namespace } = options;
  const user = `${namespace}-admin`;
  const objects = `apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: k8sk8s, namespace: ${namespace}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: k8sk8s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ${user}}]
`;
  await adminKubectl(kubectl, credentials, ['apply', '--server-side', '-f', '-'], objects);
  await adminKubectl(kubectl, credentials, ['-n', namespace, 'apply', '--server-side', '-f', '-'], rights);
  return { kubeconfig: await credentials.person(user, namespace), path: tools };
}
