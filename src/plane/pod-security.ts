import type { ClusterSpec } from '../config/schema.ts';

const defaultUser = '65532';

/**
 * The pods' security under the restricted level of https://kubernetes.io/docs/concepts/security/pod-security-standards/. What
 * is left to the platform is left out. Pure.
 */
export function podSecurity({ runAsUser, fsGroup }: Pick<ClusterSpec, 'runAsUser' | 'fsGroup'>) {
  const user = numberOf(runAsUser);
  const group = numberOf(fsGroup ?? runAsUser);
  // Files that another user wrote are readable by their group alone.
  const asked = runAsUser !== undefined || fsGroup !== undefined;
  return {
    runAsNonRoot: true,
    ...(user !== undefined && { runAsUser: user, runAsGroup: user }),
    ...(group !== undefined && { fsGroup: group, fsGroupChangePolicy: asked ? 'Always' : 'OnRootMismatch' }),
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

function numberOf(given: string = defaultUser): number | undefined {
  return given === 'platform' ? undefined : Number(given);
}

export const containerSecurity = (added: string[] = []) => ({
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'], ...(added.length > 0 && { add: added }) },
});
