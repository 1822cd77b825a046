import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isIpv4 } from '../cidr.ts';
import { ApiError, explainInfraError } from '../kube/errors.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { foreignObject } from '../plane/apply.ts';
import { recordName } from '../plane/names.ts';
import { parseRecord } from '../record.ts';
import { knownMinor, minorOf } from '../versions.ts';
import { type Check, type CheckContext, type Outcome, ok, outcomeOf } from './check.ts';
import { missingRights, requiredRights } from './rights.ts';

const rightsFix =
  'ask the administrator of the infra cluster to apply templates/rights/namespace-admin.yaml of k8sk8s there (README, "Rights")';

/** Everything else asks the API too, so nothing else is asked before this has passed. */
export const access: Check = {
  name: 'access',
  claim: () => 'Access to cluster confirmed',
  anchor: 'access',
  severity: 'fatal',
  async probe({ cluster }) {
    try {
      await cluster.version();
      // /version is often open to everybody; a review is answered to known users only.
      await cluster.review({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectRulesReview',
        spec: { namespace: cluster.namespace },
      });
      return ok();
    } catch (error) {
      return outcomeOf(explainInfraError(error, 'ask the infra cluster who I am'));
    }
  },
};

export const clusterChecks: Check[] = [
  {
    name: 'namespace',
    claim: ({ cluster }) => `Namespace ${cluster.namespace} accepts objects`,
    anchor: 'namespace',
    severity: 'fatal',
    async probe({ cluster }) {
      try {
        await cluster.create(
          { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'k8sk8s-preflight' } },
          { dryRun: true },
        );
        return ok();
      } catch (error) {
        return namespaceOutcome(error, cluster.namespace);
      }
    },
  },
  {
    name: 'rights',
    claim: () => 'All rights that deploy and destroy need are granted',
    anchor: 'rights',
    severity: 'fatal',
    async probe({ cluster, spec }) {
      const rights = requiredRights.filter(({ resource }) => resource !== 'ingresses' || spec.expose === 'ingress');
      const missing = await missingRights(cluster, rights);
      return missing.length === 0
        ? ok()
        : {
            state: 'failed',
            what: `rights are missing in namespace "${cluster.namespace}"`,
            why: `you may not: ${missing.join('; ')}`,
            fix: rightsFix,
          };
    },
  },
  {
    name: 'host',
    claim: ({ spec }) => `API server host ${spec.host} resolves`,
    anchor: 'host',
    severity: 'fatal',
    async probe({ spec }) {
      if (isIpv4(spec.host)) return ok(`API server host ${spec.host} is an address`);
      const found = await Promise.race([
        lookup(spec.host).catch((error: NodeJS.ErrnoException) => error),
        sleep(3000, undefined, { ref: false }),
      ]);
      const fix =
        'make the name lead to the ingress controller of the infra cluster (DNS, or a line in the hosts file), here and on every worker';
      if (found === undefined)
        return {
          state: 'failed',
          what: `the host ${spec.host} does not resolve`,
          why: 'the resolver of this machine gave no answer within 3 s',
          fix,
        };
      return 'address' in found
        ? ok()
        : {
            state: 'failed',
            what: `the host ${spec.host} does not resolve`,
            why: `the resolver of this machine says ${found.code}`,
            fix,
          };
    },
  },
  {
    name: 'names',
    claim: () => 'No object of another owner is in the way',
    anchor: 'foreign-object',
    severity: 'fatal',
    async probe(context) {
      const existing = await context.existing();
      const recordObject = existing.find<ConfigMap>({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: recordName },
      });
      const record = recordObject && parseRecord(recordObject);
      const foreign = existing.foreign(record?.planeId);
      if (foreign.length === 0) return ok();
      const { what, why, fix } = foreignObject(foreign[0]!, context.cluster.namespace);
      return { state: 'failed', what, why: foreign.length > 1 ? `${why}; and ${foreign.length - 1} more` : why, fix };
    },
  },
  {
    name: 'changes',
    claim: () => 'The plane can be changed to what is asked for',
    anchor: 'immutable',
    severity: 'fatal',
    probe: changes,
  },
];

function namespaceOutcome(error: unknown, namespace: string): Outcome {
  if (error instanceof ApiError && error.status === 404)
    return {
      state: 'failed',
      what: `there is no namespace "${namespace}" on the infra cluster`,
      fix: 'ask its administrator to create it, or name another with -n',
    };
  if (
    error instanceof ApiError &&
    error.status === 403 &&
    /being terminated|because it is being terminated/.test(error.message)
  )
    return {
      state: 'failed',
      what: `namespace "${namespace}" is being deleted`,
      fix: 'wait until it is gone and made again, or name another with -n',
    };
  if (error instanceof ApiError && error.status === 403)
    return {
      state: 'failed',
      what: `you may not create objects in namespace "${namespace}"`,
      why: error.message,
      fix: rightsFix,
    };
  return outcomeOf(explainInfraError(error, `create an object in namespace "${namespace}"`));
}

/** Options that a live plane cannot follow. */
async function changes({ record: read, spec }: CheckContext): Promise<Outcome> {
  const record = await read();
  if (!record) return ok('The namespace has no plane yet');
  const fixed = (['serviceCidr', 'podCidr', 'dnsDomain'] as const).filter(
    (field) => record.spec[field] !== undefined && record.spec[field] !== spec[field],
  );
  if (fixed.length > 0) {
    return {
      state: 'failed',
      what: `a plane's ${fixed.map((field) => `${field} cannot change from ${record.spec[field]} to ${spec[field]}`).join(' and ')}`,
      why: 'services, pods and certificates of the hosted cluster already use it',
      fix: 'leave it as it was, or make another plane in another namespace',
    };
  }
  const [from, to] = [record.spec.kubernetesVersion ?? spec.kubernetesVersion, spec.kubernetesVersion];
  const step = minorNumber(to) - minorNumber(from);
  if (step < 0)
    return {
      state: 'failed',
      what: `the plane runs Kubernetes ${from} and cannot go back to ${to}`,
      why: 'the API server of an older minor does not read what a newer one stored',
      fix: `leave out --kubernetes-version, or make another plane in another namespace`,
    };
  if (step > 1)
    return {
      state: 'failed',
      what: `the plane runs Kubernetes ${from} and cannot jump to ${to}`,
      why: 'Kubernetes goes up one minor at a time',
      fix: `go to ${nextMinor(from)} first`,
    };
  return ok();
}

const minorNumber = (version: string): number => Number(minorOf(version).split('.')[1]);

function nextMinor(version: string): string {
  const next = `1.${minorNumber(version) + 1}`;
  return knownMinor(next)?.patch ?? next;
}
