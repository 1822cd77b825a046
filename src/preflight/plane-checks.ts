import { UserError } from '../base/errors.ts';
import { command, joined, option, type Part, type Words, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import { authenticatorsOf } from '../config/identity.ts';
import { isTested, knownMinor, knownMinors, minorNumber } from '../config/versions.ts';
import { type ConfigMap, type KubeObject, nameOf, type Secret } from '../kube/objects.ts';
import { foreignObject } from '../live/apply.ts';
import { infraIssuerUrl } from '../live/infra-issuer.ts';
import { sealingOf } from '../live/sealed-ca.ts';
import { absentFiles, ownedArguments, unknownComponents } from '../plane/component-problems.ts';
import { partOf, recordName } from '../plane/names.ts';
import { driverOf } from '../plane/networks/table.ts';
import { parseRecord } from '../plane/record.ts';
import { readBundle } from '../plane/secrets.ts';
import { describeStorage } from '../plane/storage.ts';
import { askedOnce, type DeployCheck, type DeployContext, type Outcome, ok, outcomeOf } from './check.ts';
import { trialStorage } from './trials.ts';

/** It takes a token of the infra cluster to learn it. */
export const infraIssuer = askedOnce(({ cluster, spec }) => infraIssuerUrl(cluster, spec));

/** Checks that compare the objects of the namespace with the wanted spec. */
export const planeChecks: DeployCheck[] = [
  {
    name: 'names',
    claim: () => 'No object of another owner is in the way',
    anchor: 'foreign-object',
    severity: 'fatal',
    dependsOn: ['namespace'],
    probe: namesFree,
  },
  {
    name: 'changes',
    claim: () => 'The plane can be changed to what is asked for',
    anchor: 'immutable',
    severity: 'fatal',
    dependsOn: ['namespace'],
    probe: changes,
  },
  {
    name: 'seal',
    claim: () => "What seals the key of the plane's CA is at hand, or it is sealed already",
    anchor: 'seal-file',
    severity: 'fatal',
    dependsOn: ['namespace'],
    applies: ({ spec }) => spec.seal !== 'none',
    probe: sealed,
  },
  {
    name: 'storage',
    claim: () => "etcd's data has a place",
    anchor: 'storage-class',
    severity: 'fatal',
    dependsOn: ['namespace', 'names'],
    async probe(context) {
      const { storage, why } = await trialStorage(context);
      return ok(
        storage.kind === 'volume'
          ? `etcd keeps its data on ${describeStorage(storage).name} (${why})`
          : `etcd keeps its data in its pod (${why})`,
      );
    },
  },
  {
    name: 'version',
    claim: ({ spec }) => `Kubernetes ${spec.kubernetesVersion} is tested with this k8sk8s`,
    anchor: 'bad-values',
    severity: 'warning',
    applies: ({ spec }) => !wasRun(spec.kubernetesVersion),
    async probe({ spec: { kubernetesVersion } }) {
      const run = knownMinors.filter(({ patch }) => wasRun(patch)).map(({ patch }) => patch);
      return {
        state: 'failed',
        what: isTested(kubernetesVersion)
          ? `of Kubernetes ${kubernetesVersion} only the manifests were tested with this k8sk8s, no cluster was run`
          : `Kubernetes ${kubernetesVersion} was not tested with this k8sk8s`,
        fix: `if it does not come up, try ${run.join(' or ')}, which were`,
      };
    },
  },
  {
    name: 'issuers',
    claim: () => "No issuer of tokens is the hosted cluster's own",
    anchor: 'bad-values',
    severity: 'fatal',
    dependsOn: ['namespace'],
    applies: ({ spec }) => authenticatorsOf(spec).length > 0,
    async probe({ spec, record }) {
      const own = (await record())?.issuers ?? [];
      const taken = authenticatorsOf(spec).find(({ issuer }) => own.includes(issuer.url));
      if (!taken) return ok();
      return {
        state: 'failed',
        what: `the issuer ${taken.issuer.url} is the hosted cluster's own, whose tokens count anyway`,
        fix: 'name the issuer of the outside source',
      };
    },
  },
  {
    name: 'infra-issuer',
    claim: () => "The infra cluster's issuer of service account tokens is known",
    anchor: 'infra-issuer',
    severity: 'fatal',
    dependsOn: ['namespace'],
    applies: ({ spec }) => spec.trustInfra.length > 0,
    async probe(context) {
      const { spec, record } = context;
      try {
        const url = await infraIssuer(context);
        const taken = authenticatorsOf(spec).some(({ issuer }) => issuer.url === url);
        if (!taken && !(await record())?.issuers?.includes(url)) return ok(`Service accounts of ${url} are let in`);
        return {
          state: 'failed',
          what: `the infra cluster signs its tokens as ${url}, which is an issuer of this plane already`,
          fix: words`leave ${field('trustInfra')} out, or the other issuer`,
        };
      } catch (error) {
        return outcomeOf(error);
      }
    },
  },
  {
    name: 'network-driver',
    claim: ({ spec }) => `This k8sk8s has the manifests of the network ${spec.network}`,
    anchor: 'bad-values',
    severity: 'fatal',
    applies: ({ spec }) => driverOf(spec).absent !== undefined,
    async probe({ spec }) {
      const error = driverOf(spec).absent?.();
      return error ? outcomeOf(error) : ok();
    },
  },
  {
    name: 'arguments',
    claim: () => 'No argument is given that k8sk8s sets itself, or that names a file which is not there',
    anchor: 'owned-argument',
    severity: 'fatal',
    async probe({ spec }) {
      const owned = ownedArguments(spec);
      const problems = [...owned.map(({ what }) => what), ...absentFiles(spec), ...unknownComponents(spec)];
      return problems.length === 0
        ? ok()
        : {
            state: 'failed',
            what: joined(problems, '; '),
            fix: `leave it out${owned.some(({ instead }) => instead) ? ', or use the option named' : ''}`,
          };
    },
  },
];

function wasRun(version: string): boolean {
  return isTested(version) && knownMinor(version)?.proof === 'e2e';
}

async function sealed({ cluster, spec, existing }: DeployContext): Promise<Outcome> {
  // This also reports a file of the other kind.
  if (sealingOf(spec, cluster)?.close) return ok();
  const ca = readBundle((await existing()).ofKind<Secret>('Secret'))?.authorities.ca;
  if (ca?.sealed) return ok('it is sealed; a change that needs the key will ask for it');
  return {
    state: 'failed',
    what: words`${field('seal', spec.seal)} needs the ${spec.seal === 'key-file' ? 'age identity' : 'passphrase'} that seals the key of the plane's CA`,
    fix: words`add ${option('sealFile', 'FILE')}, or set K8SK8S_SEAL_FILE`,
  };
}

async function namesFree(context: DeployContext): Promise<Outcome> {
  const { namespace } = context.cluster;
  const existing = await context.existing();
  const recordObject = existing.find<ConfigMap>({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: recordName },
  });
  const record = recordObject && parseRecord(recordObject);
  const inTheWay = existing.foreign(record?.planeId);
  const foreign = inTheWay.filter((object) => !isPlane(object));
  if (foreign.length > 0) {
    const { what, why, fix } = foreignObject(foreign[0]!, namespace);
    return { state: 'failed', what, why: joined([why ?? '', ...others(foreign)], '; '), fix };
  }
  if (inTheWay.length === 0) return ok();
  // Do not advise to delete them one by one: they may contain the only copy of a plane's CAs.
  return record
    ? {
        state: 'failed',
        what: `namespace "${namespace}" already has a ${nameOf(inTheWay[0]!)} of another plane`,
        why: [
          `it belongs to ${inTheWay[0]!.metadata.labels?.['app.kubernetes.io/instance']}, the plane of this namespace is ${record.planeId}`,
          ...others(inTheWay),
        ].join('; '),
        fix: 'use another namespace, or delete that object if its plane is gone',
      }
    : {
        state: 'failed',
        what: `namespace "${namespace}" contains a plane whose record, configmap "${recordName}", is gone`,
        why: `without the record nobody knows how the plane was made; these objects still exist: ${inTheWay.map(nameOf).join(', ')}`,
        fix: words`restore that configmap from a backup, or delete the rest with ${command('destroy', namespace)} (all data of the hosted cluster is lost), or use another namespace`,
      };
}

function others([, ...more]: KubeObject[]): string[] {
  return more.length > 0 ? [`likewise ${more.map(nameOf).join(', ')}`] : [];
}

function isPlane({ metadata }: KubeObject): boolean {
  return metadata.labels?.['app.kubernetes.io/part-of'] === partOf;
}

/** Options that cannot change after the first deploy. */
async function changes({ cluster, existing, record: read, spec }: DeployContext): Promise<Outcome> {
  const record = await read().catch((error) => {
    // The check of the names says what is wrong with it.
    if (error instanceof UserError && /^record-/.test(error.anchor)) return 'unreadable' as const;
    throw error;
  });
  if (record === 'unreadable') return { state: 'unknown', why: 'the record of the plane cannot be read' };
  if (!record)
    return (await existing()).foreign(undefined).some(isPlane)
      ? { state: 'unknown', why: 'there is a plane without its record' }
      : ok('The namespace has no plane yet');
  const otherwise = words`destroy this plane first (${command('destroy', cluster.namespace)}; all data of the hosted cluster is lost), or deploy another one in another namespace`;
  const fixed = (['serviceCidr', 'podCidr', 'dnsDomain'] as const).filter(
    (name) => record.spec[name] !== undefined && record.spec[name] !== spec[name],
  );
  if (fixed.length > 0) {
    return {
      state: 'failed',
      what: joined(
        fixed.map((name) => words`${field(name)} cannot change from ${record.spec[name]!} to ${spec[name]}`),
        ' and ',
      ),
      why: 'services, pods and certificates of the hosted cluster use the old value',
      fix: words`give ${joined(
        fixed.map((name) => [field(name, record.spec[name])]),
        ' ',
      )}, or ${otherwise}`,
    };
  }
  const from = record.spec.kubernetesVersion ?? spec.kubernetesVersion;
  return versionStep(from, spec.kubernetesVersion, {
    to: (version) => field('kubernetesVersion', version),
    stay: words`give ${field('kubernetesVersion', from)}, or ${otherwise}`,
  });
}

/**
 * Kubernetes' version skew policy (https://kubernetes.io/releases/version-skew-policy/): up, and one minor at a time. Pure.
 *
 * @param advice how the caller is given a version, and what to do instead of going back
 */
export function versionStep(from: string, to: string, advice: { to: (version: string) => Part; stay: Words }): Outcome {
  const step = minorNumber(to) - minorNumber(from);
  if (step < 0)
    return {
      state: 'failed',
      what: `the plane was made with Kubernetes ${from} and cannot go back to ${to}`,
      why: 'the API server of an older minor cannot read what a newer one has stored',
      fix: advice.stay,
    };
  if (step > 1)
    return {
      state: 'failed',
      what: `the plane was made with Kubernetes ${from} and cannot jump to ${to}`,
      why: 'Kubernetes goes up one minor at a time',
      fix: words`go to ${nextMinor(from)} first, with ${advice.to(nextMinor(from))}`,
    };
  return ok();
}

function nextMinor(version: string): string {
  const next = `1.${minorNumber(version) + 1}`;
  return knownMinor(next)?.patch ?? next;
}
