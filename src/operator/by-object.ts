import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { hostedControlPlaneName } from '../config/hosted-control-plane.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';
import { type HostedControlPlane, kind } from './object.ts';

/**
 * Changes the object that a plane follows, and waits until the operator has made the plane so.
 *
 * @throws UserError `rights`, and `object-not-made` with what the object's conditions say
 */
export async function changeByObject(
  cluster: InfraCluster,
  spec: HostedControlPlane['spec'],
  { reporter, timeout, signal }: Work,
): Promise<HostedControlPlane> {
  const asked = await cluster
    .merge<HostedControlPlane>(kind, hostedControlPlaneName, { spec })
    .catch((error: unknown) => {
      throw explainCallError(error, `change the HostedControlPlane of namespace "${cluster.namespace}"`);
    });
  const { generation } = asked.metadata;
  let now: HostedControlPlane | undefined = asked;
  const said = (type: string) => now?.status?.conditions?.find((each) => each.type === type);
  const isMade = () => now?.status?.observedGeneration === generation && said('Progressing')?.status === 'False';
  return reporter.during(
    'The object is changed; waiting for the operator',
    (phase) =>
      waitFor({
        until: async () => {
          now = await cluster.get<HostedControlPlane>(kind, hostedControlPlaneName);
          return isMade() && now;
        },
        failure: () => {
          const { status, message, observedGeneration } = said('Progressing') ?? {};
          const refused = status === 'False' && observedGeneration === generation && !isMade();
          return refused ? notMade(cluster, message!) : undefined;
        },
        now: () => said('Progressing')?.reason,
        every: 500,
        late: (after) => notMade(cluster, `not within ${after}; ${said('Progressing')?.message ?? 'it has no status'}`),
        phase,
        timeout,
        signal,
      }),
    'The operator has made it so',
  );
}

function notMade({ namespace }: InfraCluster, why: string): UserError {
  return new UserError({
    what: `the operator has not made the plane in namespace "${namespace}" what its object says`,
    why,
    fix: words`see what the object says: kubectl -n ${namespace} describe hcp k8sk8s; ${command('operator status')} shows whether an operator works`,
    anchor: 'object-not-made',
  });
}
