import { factsOf, UserError } from '../../../base/errors.ts';
import { again, command, words } from '../../../base/words.ts';
import { buildAddons } from '../../../hosted/addons/addons.ts';
import { refuseUnadmitted } from '../../../hosted/admission.ts';
import type { HostedCluster } from '../../../kube/hosted-cluster.ts';
import type { ConfigMap } from '../../../kube/objects.ts';
import { podsOf } from '../../../live/pods.ts';
import { trusted, trustedOfClients } from '../../../pki/authority.ts';
import { certificatesIn, fingerprint } from '../../../pki/inspect.ts';
import { waitFor } from '../../../ui/wait-for.ts';
import { authorityOf, inHosted, type Rotation } from './rotation.ts';

/** https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/ */
const configMaps = { apiVersion: 'v1', kind: 'ConfigMap' };
const trustMap: ConfigMap = {
  ...configMaps,
  metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' },
};
const frontProxyKey = 'requestheader-client-ca-file';
const clientKey = 'client-ca-file';

/** Before anything is changed: the rules of the hosted cluster's users let new CAs be written there. @throws UserError */
export async function refuseUnpublishable(rotation: Rotation): Promise<void> {
  const { spec, addresses, bundle, held } = rotation.plane;
  const objects = [trustMap, ...buildAddons(spec, addresses, bundle.authorities)];
  await inHosted(rotation, (hosted) => refuseUnadmitted(hosted, objects, held.signal));
}

/** Pods and aggregated API servers read from ConfigMaps whom to trust: those have to name the new CAs before they sign. */
export async function untilPublished(rotation: Rotation): Promise<void> {
  const { 'front-proxy-ca': frontProxy, ca } = rotation.plane.bundle.authorities;
  const names = (text: string | undefined, all: string) => {
    const known = certificatesIn(text ?? '').map(fingerprint);
    return certificatesIn(all).every((each) => known.includes(fingerprint(each)));
  };
  const isPublished = async (hosted: HostedCluster) => {
    const { data } = await trustForAggregated(hosted);
    const { items } = await hosted.list<ConfigMap>(configMaps, { fieldSelector: 'metadata.name=kube-root-ca.crt' });
    return (
      names(data?.[frontProxyKey], trusted(frontProxy!)) &&
      names(data?.[clientKey], trustedOfClients(ca!)) &&
      items.every((each) => names(each.data?.['ca.crt'], trusted(ca!)))
    );
  };
  await inHosted(rotation, (hosted) =>
    eventually(rotation, 'until pods and aggregated API servers are told of it', () => isPublished(hosted)),
  );
}

/** API servers only ever add to their ConfigMap: the dropped CAs are taken out of it, once no API server knows them any more. */
export async function forgetDropped(rotation: Rotation): Promise<void> {
  const { record, spec, held } = rotation.plane;
  await eventually(rotation, 'until the old API servers have ended', async () => {
    const pods = await podsOf(held.cluster, record.planeId, 'kube-apiserver');
    return pods.length <= spec.replicas && pods.every(({ metadata }) => !metadata.deletionTimestamp);
  });
  const kept = { [frontProxyKey]: authorityOf(rotation, 'front-proxy-ca'), [clientKey]: authorityOf(rotation, 'ca') };
  const isForgotten = async (hosted: HostedCluster) => {
    const { data = {} } = await trustForAggregated(hosted);
    const surplus = Object.entries(kept).filter(([key, authority]) => {
      const known = certificatesIn(trustedOfClients(authority)).map(fingerprint);
      return certificatesIn(data[key] ?? '').some((each) => !known.includes(fingerprint(each)));
    });
    if (surplus.length === 0) return true;
    const next = Object.fromEntries(surplus.map(([key, authority]) => [key, trustedOfClients(authority)]));
    await hosted.merge(trustMap, trustMap.metadata.name, { data: next }, 'kube-system');
    return false;
  };
  await inHosted(rotation, (hosted) =>
    eventually(rotation, 'until aggregated API servers are told of it', () => isForgotten(hosted)),
  );
}

async function trustForAggregated(hosted: HostedCluster): Promise<ConfigMap> {
  const { name, namespace } = trustMap.metadata;
  return (await hosted.get<ConfigMap>(trustMap, name, namespace)) ?? trustMap;
}

/** @throws UserError `rotation-stuck` when `until` does not say yes in time */
async function eventually(rotation: Rotation, what: string, until: () => Promise<boolean>): Promise<void> {
  const { reporter, timeout, signal, cluster } = rotation.plane.held;
  const late = async (after: string) => {
    const refusal: unknown = await refuseUnpublishable(rotation).catch((error) => error);
    const known = refusal instanceof UserError ? refusal : undefined;
    return new UserError({
      what: `waited in vain ${what}, for ${after}`,
      why: known && factsOf(known),
      fix: known?.fix ?? words`look at: ${command('status', cluster.namespace)}; then ${again}, it goes on from here`,
      anchor: 'rotation-stuck',
    });
  };
  await reporter.during(`Waiting ${what}`, () => waitFor({ until, timeout, signal, every: 500, late }));
}
