import { words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import { ApiError, isForbidden } from '../kube/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { groupOf, resourceOf, versionsOfExtension } from '../kube/resources.ts';
import { gatewayOf } from '../plane/exposures/gateway/gateway.ts';
import { type Gateway, listenerProblem } from '../plane/exposures/gateway/listeners.ts';
import { exposureOf } from '../plane/exposures/table.ts';
import { refused } from './admission-checks.ts';
import { type DeployCheck, type DeployContext, type Outcome, ok } from './check.ts';
import { trialExposure } from './trials.ts';

const kindsOf = ({ spec }: Pick<DeployContext, 'spec'>) => exposureOf(spec).kinds ?? [];

/** The infra cluster may not have the kind at all. */
const served: DeployCheck = {
  name: 'exposure-served',
  claim: (context) => `The infra cluster serves ${kindsOf(context)[0]?.kind}`,
  anchor: 'exposure-not-served',
  severity: 'fatal',
  dependsOn: ['access'],
  applies: (context) => kindsOf(context).some(versionsOfExtension),
  async probe(context) {
    const [kind] = kindsOf(context);
    const found = await context.cluster.served(kind!);
    if (found) return ok(`The infra cluster serves ${kind!.kind} of ${found.apiVersion}`);
    return {
      state: 'failed',
      what: `the infra cluster has no ${kind!.kind}, which ${exposureWords(context)} needs`,
      why: `it does not serve ${resourceOf(kind!).plural} of the group ${groupOf(kind!)}`,
      fix: words`choose another ${field('expose')}: docs/exposure.md says what each needs`,
    };
  },
};

const accepted: DeployCheck = {
  name: 'ingress',
  claim: (context) => `The ${kindsOf(context)[0]?.kind} is accepted`,
  anchor: 'ingress',
  severity: 'fatal',
  dependsOn: ['namespace', 'exposure-served'],
  applies: (context) => kindsOf(context).length > 0,
  async probe(context) {
    const trials = await trialExposure(context);
    const failure = trials.find(({ error }) => error !== undefined);
    if (failure)
      return refused(
        context,
        failure.object,
        failure.error,
        'ingress',
        words`choose another ${field('host')} or ${field('ingressClass')}, or another ${field('expose')}`,
      );
    if (context.spec.expose !== 'ingress') return ok();
    const chosen = trials[0]?.admitted?.spec.ingressClassName;
    return chosen
      ? ok(`The Ingress is accepted, class ${chosen}`)
      : {
          state: 'unknown',
          why: words`the infra cluster names no default ingress class; choose one with ${field('ingressClass')} if its controller does not pick the ingress up`,
        };
  },
};

/** A tenant usually may not read the Gateway; then its controller tells in the route's own status, while deploy runs. */
const listeners: DeployCheck = {
  name: 'gateway',
  claim: ({ spec }) => `Gateway ${spec.gateway} passes TLS for ${spec.host} through`,
  anchor: 'gateway',
  severity: 'fatal',
  dependsOn: ['exposure-served'],
  applies: ({ spec }) => spec.expose === 'gateway',
  async probe({ cluster, spec }): Promise<Outcome> {
    const { namespace, name } = gatewayOf(spec);
    const kind = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway' };
    let gateway: (KubeObject & Gateway) | undefined;
    try {
      gateway = await cluster.getElsewhere<KubeObject & Gateway>(kind, namespace, name);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const why = isForbidden(error) ? `you may not read Gateways of namespace "${namespace}"` : error.message;
      return { state: 'unknown', why: `${why}; whether the Gateway takes the route shows during the deploy` };
    }
    const problem = gateway ? listenerProblem(gateway, spec, cluster.namespace) : 'there is no such Gateway';
    if (problem === undefined) return ok();
    return {
      state: 'failed',
      what: `Gateway ${spec.gateway} does not lead to the plane`,
      why: problem,
      fix: words`choose another ${field('gateway')}, or ask its owner for a listener of protocol TLS, mode Passthrough, which takes TLSRoutes of this namespace`,
    };
  },
};

function exposureWords({ spec }: DeployContext): string {
  return `exposing the plane by ${spec.expose}`;
}

export const exposureChecks: DeployCheck[] = [served, accepted, listeners];
