import { toolVersion } from '../base/version.ts';
import { option, words } from '../base/words.ts';
import { ApiError, ConnectionError, explainCallError, isForbidden, isQuotaExceeded, notJson } from '../kube/errors.ts';
import type { PlaneKind } from '../plane/components/component.ts';
import { unusedKinds } from '../plane/kinds.ts';
import { belongsTo, reservedNamespaces } from '../plane/names.ts';
import { toConfigMap } from '../plane/record.ts';
import {
  askedOnce,
  type DeployCheck,
  type DeployContext,
  describeMissingRight,
  type Outcome,
  ok,
  outcomeOf,
} from './check.ts';
import { missingRights, rightsFor } from './rights.ts';
import { renamed, trialId } from './trials.ts';

const rightsFix =
  'ask the administrator of the infra cluster to apply templates/rights/namespace-admin.yaml of k8sk8s there (README, "Rights")';

/** All other checks need the API as well, so none of them runs before this one has passed. */
export const access: DeployCheck = {
  name: 'access',
  claim: () => 'Access to cluster confirmed',
  anchor: 'access',
  severity: 'fatal',
  async probe({ cluster }) {
    try {
      const [version] = await Promise.all([
        cluster.version(),
        // Anonymous users may often read /version; only known users may create a review.
        cluster.review({
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectRulesReview',
          spec: { namespace: cluster.namespace },
        }),
      ]);
      return version?.gitVersion ? ok() : noApiServer(cluster.server, 'it shows no version of Kubernetes');
    } catch (error) {
      return accessOutcome(error, cluster.server);
    }
  },
};

function accessOutcome(error: unknown, server: string): Outcome {
  // A known user may lack these two rights; the other checks find out the rest.
  if (isForbidden(error) && /User "(?!system:anonymous")/.test((error as Error).message)) return ok();
  if (isForbidden(error))
    return {
      state: 'failed',
      what: 'the infra cluster does not know who you are',
      why: 'the kubeconfig has no credentials, or none that this API server accepts',
      fix: words`get a fresh kubeconfig, or choose another one with ${option('kubeconfig')} or ${option('context')}`,
      anchor: 'infra-unauthorized',
    };
  // An API server answers with a Status, which has a reason; a proxy in front of it may answer 5xx without one.
  if (
    error instanceof ApiError &&
    error.reason === '' &&
    error.status < 500 &&
    error.status !== 401 &&
    error.status !== 429
  )
    return noApiServer(server, `it answers ${error.status} ${error.message.replace(/\s+/g, ' ').slice(0, 100)}`);
  // The answer claims to be JSON, and is not.
  if (error instanceof ConnectionError && error.code === notJson)
    return noApiServer(server, 'its answers are not those of Kubernetes');
  return outcomeOf(explainCallError(error, 'ask the infra cluster who I am'));
}

function noApiServer(server: string, why: string): Outcome {
  return {
    state: 'failed',
    what: `what answers at ${server} is not a Kubernetes API server`,
    why,
    fix: words`correct the server address in the kubeconfig (https, host, port), or choose another one with ${option('kubeconfig')} or ${option('context')}`,
    anchor: 'infra-unreachable',
  };
}

const missing = askedOnce(async (context) =>
  missingRights(context.cluster, rightsFor(context.spec, await leftKinds(context))),
);

/** Kinds of which the plane has an object and the spec wants none, as after another --expose: deploy deletes that object. */
async function leftKinds(context: DeployContext): Promise<PlaneKind[]> {
  try {
    const [existing, record] = await Promise.all([context.existing(), context.record()]);
    if (!record) return [];
    return unusedKinds(context.spec).filter(({ kind }) =>
      existing.ofKind(kind).some((object) => belongsTo(object, record.planeId)),
    );
  } catch {
    // Whoever may not read these objects hears of that right first.
    return [];
  }
}

export const namespace: DeployCheck = {
  name: 'namespace',
  claim: ({ cluster }) => `Namespace ${cluster.namespace} accepts objects`,
  anchor: 'namespace',
  severity: 'fatal',
  async probe(context) {
    const { cluster, spec } = context;
    if (reservedNamespaces.includes(cluster.namespace))
      return {
        state: 'failed',
        what: `namespace "${cluster.namespace}" belongs to the infra cluster itself`,
        fix: words`name a namespace for the plane alone, with ${option('namespace')}`,
      };
    const record = toConfigMap({ planeId: trialId, toolVersion: toolVersion(), spec, issuers: [], phase: 'deploying' });
    try {
      await cluster.create(renamed(record), { dryRun: true });
      return ok();
    } catch (error) {
      // To users without any right in a namespace, the API server does not say whether the namespace exists.
      if (describeMissingRight(error) && (await missing(context)).none)
        return {
          state: 'failed',
          what: `you have no rights in namespace "${cluster.namespace}", or there is no such namespace`,
          why: 'the infra cluster does not say which of the two is the case',
          fix: words`check the name after ${option('namespace')}; if it is right, ${rightsFix}`,
        };
      return namespaceOutcome(error, cluster.namespace);
    }
  },
};

function namespaceOutcome(error: unknown, name: string): Outcome {
  // The API server checks the quota last; another check reports it.
  if (isQuotaExceeded(error)) return ok(`Namespace ${name} is there`);
  if (!(error instanceof ApiError))
    return outcomeOf(explainCallError(error, `create an object in namespace "${name}"`));
  if (error.status === 404)
    return {
      state: 'failed',
      what: `there is no namespace "${name}" on the infra cluster`,
      fix: words`ask its administrator to create it, or name another with ${option('namespace')}`,
    };
  if (/because it is being terminated/.test(error.message))
    return {
      state: 'failed',
      what: `namespace "${name}" is being deleted`,
      fix: words`wait until it is deleted and created again, or name another with ${option('namespace')}`,
    };
  const right = describeMissingRight(error);
  if (right) return { state: 'unknown', why: right };
  return {
    state: 'failed',
    what: `the infra cluster refuses objects of k8sk8s in namespace "${name}"`,
    why: error.message,
    fix: words`ask its administrator about that rule, or name another namespace with ${option('namespace')}`,
  };
}

export const rights: DeployCheck = {
  name: 'rights',
  claim: () => 'All rights that deploy and destroy need are granted',
  anchor: 'rights',
  severity: 'fatal',
  dependsOn: ['namespace'],
  async probe(context) {
    const { verbs } = await missing(context);
    return verbs.length === 0
      ? ok()
      : {
          state: 'failed',
          what: `rights are missing in namespace "${context.cluster.namespace}"`,
          why: `you may not: ${verbs.join('; ')}`,
          fix: rightsFix,
        };
  },
};
