import type { ClusterSpec } from '../../config/schema.ts';
import type { Kind } from '../../kube/cluster.ts';
import type { KubeObject, Secret, Service } from '../../kube/objects.ts';
import type { Value } from '../../manifests/render.ts';
import type { PkiBundle } from '../../pki/certificates.ts';
import type { AuthorityName } from '../../pki/table.ts';
import type { Addresses } from '../addresses.ts';
import type { EgressRule } from '../policy-rules.ts';
import type { Storage } from '../storage.ts';
import type { Membership } from './etcd/membership.ts';

/**
 * One component of a control plane: everything that is said about it and about nothing else. Its folder holds this and its
 * templates; the table in table.ts lists all of them.
 */
export interface PlaneComponent<Name extends string = string> {
  /** Upstream's name for it: of its workload, its container, its policies and of the Secret that it mounts first. */
  name: Name;
  kind: 'Deployment' | 'StatefulSet';
  /** Full name of its image. */
  image(spec: ClusterSpec): string;
  /** Value of the label app.kubernetes.io/version of its pods; the Kubernetes version when left out. */
  version?(spec: ClusterSpec): string;
  /** How many pods it has. */
  replicas(spec: ClusterSpec): number;
  /** Several pods elect a leader, and one alone does not: the two must never run at the same time. */
  electsLeader?: true;
  /** The component that has to be starting, or answering, before this one is started for the first time; none: at once. */
  startsAfter?: 'etcd' | 'kube-apiserver';
  arguments: ComponentArguments;
  profiles: Record<ClusterSpec['profile'], ComponentProfile>;
  workload: WorkloadTemplate;
  /** What it mounts, the one with its own name first. */
  secrets: ComponentSecret[];
  /**
   * What a pod reads only at its start, of all the plane's Secrets: when that changes, its pods are replaced. When left out,
   * all of its own Secrets, but for renewed certificates (see readAtStart).
   */
  readsAtStart?(secrets: Secret[]): Secret[];
  /** Its services, labels aside. */
  services?(planeId: string, spec: ClusterSpec, moment: ServiceMoment): Service[];
  /**
   * NetworkPolicies that let others reach its pods, or let its pods reach those of other components; labels aside. When left
   * out, nobody may reach its pods.
   */
  policies?(planeId: string, spec: ClusterSpec): KubeObject[];
  /**
   * Kinds of its objects that not every component has. Where the plane's kinds are listed, applied, asked for in preflight's
   * rights and deleted, these are among them: see kinds.ts.
   */
  kinds?: PlaneKind[];
  /** Its objects of these kinds, but for the services and the ingress; labels aside. They are applied before its workload. */
  objects?(planeId: string, spec: ClusterSpec): KubeObject[];
  /** What its pods connect to, where the spec has policies rule that too; nothing when left out. */
  egress?(planeId: string, spec: ClusterSpec): EgressRule[];
  /** Names of those policies, where they are not one of its own name. */
  policyNames?: string[];
  /** The port that tells whether somebody may reach its pods, and whether everybody may. */
  reachedAt: { port(addresses: Addresses): number; byEverybody: boolean };
  /** How it is tried before a change of it reaches the plane: see trial-pod.ts. */
  trial: ComponentTrial;
  /** Containers that k8sk8s puts into its pods beside its own, of which `logs` tells as well. */
  beside?: string[];
}

/** A kind of which a plane has objects in its namespace. */
export interface PlaneKind extends Kind {
  /** All names that they can have, whatever the spec. */
  names: readonly string[];
  /** Whether a plane of this spec has such an object; when left out, every plane has. */
  usedBy?(spec: ClusterSpec): boolean;
  /** One list of the kind costs less than a request for each name. */
  listed?: true;
  /** They are deleted before etcd: they make pods that ask the API server, or lead people to it. */
  endsFirst?: true;
  /** They hold data, so deploy deletes none that it does not want any more. */
  holdsData?: true;
}

/** What services follow from beside the spec, and what changes while a plane does. */
export interface ServiceMoment {
  /** As many etcd members as need an address: while their number changes, the larger one. */
  members: number;
  /** No API server of the plane serves yet: a plane that is made, or wakes (docs/adr/0004-not-ready-addresses.md). */
  starting: boolean;
  /** The node port that pods of the workers dial until the last API server that listens there has ended. */
  earlierNodePort?: number;
  /** The load balancer that people or pods dial until HOST and the API servers have left it, in a plane that is to have none. */
  keptBalancer?: { loadBalancerClass?: string };
}

/** Flags of a component. */
interface ComponentArguments {
  /** The field of the spec by which people add some, NAME=VALUE, with or without the dashes; none where they cannot. */
  by?: 'etcdArgs' | 'apiServerArgs' | 'controllerManagerArgs' | 'schedulerArgs';
  /** Flags that k8sk8s sets itself, each with the field that changes what it says, or undefined where there is none. */
  owned: Record<string, keyof ClusterSpec | undefined>;
  /** It knows --feature-gates. */
  featureGates: boolean;
}

/** What a profile gives one component: flags, the Go runtime's settings, and room that follows what it was measured to need. */
interface ComponentProfile {
  args: string[];
  env: Record<string, string>;
  requests: { cpu: string; memory: string };
  limits: { cpu: string; memory: string };
  ceiling?: { memory: string };
}

interface ComponentTrial {
  /** Components that it needs: it starts after them. */
  needs: string[];
  /** Flags by which it finds the plane, and by which others of the plane find it. */
  without: RegExp;
  /** Flags of the trial in their place. @param port of the API server of the trial */
  instead(port: number): string[];
  /** Volumes that the trial does without: those of containers beside its own. */
  withoutVolumes?: string[];
}

/** How a component's workload is rendered. Values that all components have are filled in for it. */
interface WorkloadTemplate {
  /** YAML of one object. */
  template: string;
  values(context: WorkloadContext): Record<string, Value>;
  /** Linux capabilities that the image needs. */
  capabilities?: string[];
  /** Environment variables that follow the spec. */
  env?(spec: ClusterSpec): Record<string, string>;
  /** Several pods are spread over nodes by the usual constraint; otherwise the template sees to that. */
  spread: boolean;
  /** What no running pod is replaced for. */
  ignored?: { args: RegExp; env: string[] };
}

/** What a workload follows from, beside the spec. */
export interface WorkloadContext {
  planeId: string;
  spec: ClusterSpec;
  addresses: Addresses;
  storage: Storage;
  membership: Membership;
  /** Names of the Secrets that are named by their content, by the one beside which each is mounted; none in a dry run. */
  startFiles?: Record<string, string>;
  /** Networks of the infra cluster's services, in CIDR form, as far as they are known. */
  infraServices?: string[];
}

/** A Secret that a component mounts. */
export interface ComponentSecret {
  name: string;
  /** Whether it holds a certificate of the table in pki, with its key. */
  holds(leaf: string): boolean;
  /** CAs of which it holds what is trusted, as `NAME.crt`. */
  trusted: AuthorityName[];
  /** Its start files are mounted from a Secret beside it that is named by their content: see start-files.ts. */
  byContent?: true;
  /** Its other files, by name. */
  files?(bundle: PkiBundle, context: SecretContext): Record<string, string>;
}

/** What files in Secrets follow from, beside certificates. */
export interface SecretContext {
  planeId: string;
  spec: ClusterSpec;
  /** What controller-manager and scheduler dial: the API server service's cluster IP. */
  internalServer: string;
  /** What people dial. */
  publicServer: string;
  /** Who signs tokens of the infra cluster's service accounts, once it was learnt. */
  infraIssuer?: string;
}

/** Flags that nothing else than k8sk8s changes. @param names separated by spaces */
export function ownedBy(names: string): Record<string, undefined> {
  return Object.fromEntries(names.split(' ').map((name) => [name, undefined]));
}
