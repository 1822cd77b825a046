import { canonicalAddress, canonicalName, isHostName } from './names.ts';
import type { CertificateRequest } from './request.ts';

/** certificates.k8s.io/v1 CertificateSigningRequest, reduced to what is read here. */
export interface SigningRequest {
  metadata: { name: string; resourceVersion?: string };
  spec: { request: string; signerName: string; username?: string; groups?: string[]; usages?: string[] };
  status?: { conditions?: { type: string }[]; certificate?: string };
}

/** v1 Node, reduced to what is read here. */
export interface Node {
  metadata: { name: string };
  status?: { addresses?: { type: string; address: string }[] };
}

/**
 * `permanent`: what is wrong is in the request, which cannot change. Otherwise it is the nodes, which may. Nothing is
 * ever denied: another approver may know better.
 */
export type Decision = { approve: true } | { approve: false; reason: string; permanent?: true };

export const signer = 'kubernetes.io/kubelet-serving';
const prefix = 'system:node:';
const group = 'system:nodes';

/** The node that a user name is of (`system:node:NAME`), or undefined. */
function nodeNameOf(user: string | undefined): string | undefined {
  return user?.startsWith(prefix) && user.length > prefix.length ? user.slice(prefix.length) : undefined;
}

/**
 * Whether a request is one that a node's own kubelet makes for its own names and no other's. Pure.
 *
 * @param nodes all nodes of the cluster: a kubelet writes the addresses of its Node itself, so it could claim another's
 */
export function decide(csr: SigningRequest, request: CertificateRequest, nodes: readonly Node[]): Decision {
  const wrong = wrongWith(csr, request);
  if (wrong) return { approve: false, reason: wrong, permanent: true };
  const reason = notYet(nodeNameOf(csr.spec.username)!, request, nodes);
  return reason ? { approve: false, reason } : { approve: true };
}

/** The signer's own rules (https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/),
 * and that the requester is the node. */
function wrongWith({ spec }: SigningRequest, request: CertificateRequest): string | undefined {
  if (spec.signerName !== signer) return `the signer is ${spec.signerName}`;
  const { commonName, organizations, dnsNames, ipAddresses } = request;
  if (!nodeNameOf(commonName)) return `the common name is "${commonName}", not a node's`;
  if (spec.username !== commonName) return `it was made by ${spec.username}, for ${commonName}`;
  if (!spec.groups?.includes(group)) return `${spec.username} is not in ${group}`;
  if (organizations.length !== 1 || organizations[0] !== group || request.otherNames > 0)
    return `the subject is not exactly O=${group}, CN=${commonName}`;
  if (request.otherSans > 0) return 'it asks for names that are neither DNS names nor addresses';
  if (dnsNames.length + ipAddresses.length === 0) return 'it asks for no name';
  const noHost = dnsNames.find((name) => !isHostName(canonicalName(name)));
  if (noHost !== undefined) return `"${noHost}" is not the name of one host`;
  const usages = new Set(spec.usages);
  usages.delete('key encipherment');
  if (usages.size !== 2 || !usages.has('digital signature') || !usages.has('server auth'))
    return `the usages are ${spec.usages?.join(', ') || 'none'}`;
  return undefined;
}

function notYet(name: string, request: CertificateRequest, nodes: readonly Node[]): string | undefined {
  const node = nodes.find(({ metadata }) => metadata.name === name);
  if (!node) return `there is no node ${name}`;
  if (!node.status?.addresses?.length) return `node ${name} has no addresses yet`;
  const own = ownNames(node);
  const dnsNames = request.dnsNames.map(canonicalName);
  const foreign = [
    ...dnsNames.filter((wanted) => !own.dnsNames.has(wanted)),
    ...request.ipAddresses.filter((wanted) => !own.ipAddresses.has(wanted)),
  ];
  if (foreign.length > 0) return `node ${name} has no ${foreign.join(', ')}`;
  for (const other of nodes) {
    if (other === node) continue;
    const claimed = claims(other);
    const shared = [...dnsNames, ...request.ipAddresses].filter((wanted) => claimed.has(wanted));
    if (shared.length > 0) return `node ${other.metadata.name} claims ${shared.join(', ')} too`;
  }
  return undefined;
}

/** What a kubelet may put into its certificate: a Hostname that is an address counts as an address. */
function ownNames({ metadata, status }: Node): { dnsNames: Set<string>; ipAddresses: Set<string> } {
  const addresses = status?.addresses ?? [];
  const valuesOf = (...types: string[]) => addresses.filter(({ type }) => types.includes(type)).map((a) => a.address);
  return {
    dnsNames: new Set([metadata.name, ...valuesOf('Hostname', 'InternalDNS', 'ExternalDNS')].map(canonicalName)),
    ipAddresses: new Set(
      valuesOf('Hostname', 'InternalIP', 'ExternalIP')
        .map(canonicalAddress)
        .filter((address) => address !== undefined),
    ),
  };
}

/** Everything that a node lists, whatever the type it gives it. */
function claims({ metadata, status }: Node): Set<string> {
  const listed = (status?.addresses ?? []).map(({ address }) => address);
  return new Set([metadata.name, ...listed].map((text) => canonicalAddress(text) ?? canonicalName(text)));
}
