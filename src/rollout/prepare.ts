import { UserError } from '../base/errors.ts';
import { words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, Secret, Service } from '../kube/objects.ts';
import { webhookServer } from '../kubeconfig/webhook.ts';
import type { Existing } from '../live/apply.ts';
import { chooseStorage } from '../live/choose-storage.ts';
import { readOpened, sealingOf } from '../live/sealed-ca.ts';
import { ensureCertificates } from '../pki/certificates.ts';
import { addressesOf, apiserverService } from '../plane/addresses.ts';
import type { ServiceMoment } from '../plane/components/component.ts';
import { webhookName } from '../plane/components/kube-apiserver/identity.ts';
import { earlierNodePortOf, keptBalancerOf } from '../plane/components/kube-apiserver/service.ts';
import { certificateContext, type PlaneSource, renderExposure } from '../plane/render.ts';
import type { Step } from './steps.ts';

/**
 * What a plane is made of is found out in these steps, by deploy and by its dry run alike: the two differ in `apply` alone.
 * `storage`, `addresses` and, of `certificates`, `bundle` are there once the step of that name has run, and a field below the line
 * once the step beside it has.
 */
export interface Preparation extends PlaneSource {
  readonly cluster: InfraCluster;
  /** What the namespace holds. */
  existing: Existing;
  /** As many services of etcd members as are there or wanted, whichever is more. */
  readonly members: number;
  /** No API server of the plane serves yet. */
  readonly starting: boolean;
  /** Server-side apply, or the dry run of it. */
  apply(objects: KubeObject[]): Promise<KubeObject[]>;
  /** The kubeconfig of --authorization-webhook, where a person gave it with this run. */
  readonly webhookKubeconfig?: string;
  /** Waits for addresses that come later; a dry run takes what is there. */
  settle(services: Service[], spec: ClusterSpec): Promise<Service[]>;
  // ---
  /** storage: another storage than the one that is there, which never held a cluster. */
  replaces: boolean;
  /** addresses: the services, and what leads to them, as the server has them. */
  exposure: KubeObject[];
  /** addresses: a node port that API servers which run still listen at. */
  earlierNodePort?: number;
  /** addresses: the load balancer goes when nobody dials it any more. */
  keptBalancer?: ServiceMoment['keptBalancer'];
  /** certificates: names of those that were issued, and of those among them that stood before their end. */
  issued: string[];
  renewed: { name: string; daysLeft: number }[];
}

export const storageStep: Step<Preparation> = {
  name: 'storage',
  async run(state) {
    const { cluster, spec, existing, record } = state;
    Object.assign(state, await chooseStorage(cluster, spec, existing, record));
  },
};

/** The services and what leads to them come first: the addresses that they get go into the certificates. */
export const addressesStep: Step<Preparation> = {
  name: 'addresses',
  async run(state) {
    const { spec, record, members, starting } = state;
    const now = state.existing.ofKind<Service>('Service').find(({ metadata }) => metadata.name === apiserverService);
    state.earlierNodePort = starting ? undefined : earlierNodePortOf(now, spec);
    state.keptBalancer = starting ? undefined : keptBalancerOf(now, spec);
    const { earlierNodePort, keptBalancer } = state;
    const moment = { members, starting, earlierNodePort, keptBalancer };
    const { services: wanted, exposure } = renderExposure(record, spec, moment);
    state.exposure = await state.apply([...wanted, ...exposure]);
    const services = state.exposure.filter((object): object is Service => object.kind === 'Service');
    state.addresses = addressesOf(spec, await state.settle(services, spec), record);
  },
};

export const certificatesStep: Step<Preparation> = {
  name: 'certificates',
  async run(state) {
    const { cluster, spec, addresses, existing } = state;
    Object.assign(
      state,
      await ensureCertificates(
        await readOpened(cluster, existing.ofKind<Secret>('Secret')),
        certificateContext(cluster.namespace, spec, addresses),
        { keyType: spec.keyType, sealing: sealingOf(spec, cluster) },
      ),
    );
  },
};

/** What an authorization webhook is asked by: it was given, or lies in a Secret of the namespace, or is known already. */
export const webhookStep: Step<Preparation> = {
  name: 'webhook',
  applies: ({ spec, bundle }) => spec.authorizationWebhook !== undefined || bundle.webhook !== undefined,
  async run(state) {
    const { cluster, spec, bundle, webhookKubeconfig } = state;
    state.bundle = { ...bundle, webhook: await findWebhook(cluster, spec, [webhookKubeconfig, bundle.webhook]) };
  },
};

/** @param known kubeconfigs that may be the one that the spec names by its content @throws UserError `webhook-kubeconfig` */
export async function findWebhook(
  cluster: InfraCluster,
  { authorizationWebhook: name }: Pick<ClusterSpec, 'authorizationWebhook'>,
  known: (string | undefined)[],
): Promise<string | undefined> {
  if (name === undefined) return undefined;
  const secret = await cluster.get<Secret>({ apiVersion: 'v1', kind: 'Secret' }, name);
  const data = secret?.data?.kubeconfig;
  const kubeconfig =
    data === undefined
      ? known.find((each) => each !== undefined && webhookName(each) === name)
      : Buffer.from(data, 'base64').toString('utf8');
  if (kubeconfig === undefined)
    throw new UserError({
      what: words`the kubeconfig of ${field('authorizationWebhook')} is not there`,
      why: `neither does the plane have "${name}" nor is there a Secret of that name with a file "kubeconfig" in namespace "${cluster.namespace}"`,
      fix: words`give it again with ${field('authorizationWebhook', 'KUBECONFIG')}, or make that Secret`,
      anchor: 'webhook-kubeconfig',
    });
  webhookServer(kubeconfig);
  return kubeconfig;
}
