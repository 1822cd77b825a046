import { isIP, isIPv6 } from 'node:net';
import type { CertificateRequest } from './request.ts';

/** certificates.k8s.io/v1 CertificateSigningRequest, reduced to what is read here. */
export interface SigningRequest {
  metadata: { name: string; resourceVersion?: string };
  spec: { request: string; signerName: string; username?: string; groups?: string[]; usages?: string[] };
  status?: { conditions?: { type: string }[]; certificate?: string };
}

export interface NodeAddresses {
  metadata: { name: string };
  status?: { addresses?: { type: string; address: string }[] };
}

/** `wait`: the node may still be on its way; `refuse`: somebody has to look. Neither denies: another may approve. */
export type Decision = { verdict: 'approve'; node: string } | { verdict: 'wait' | 'refuse'; reason: string };

const signer = 'kubernetes.io/kubelet-serving';
const prefix = 'system:node:';
const group = 'system:nodes';

/**
 * Whether a request is one that the node's own kubelet makes for exactly its own names. The first half is what the
 * signer itself demands (https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/), the
 * second that the names are that Node's and no other's: a kubelet writes its own addresses, so it could claim another's.
 */
export function decide({ spec }: SigningRequest, request: CertificateRequest, nodes: NodeAddresses[]): Decision {
  const refuse = (reason: string): Decision => ({ verdict: 'refuse', reason });
  if (spec.signerName !== signer) return refuse(`the signer is ${spec.signerName}`);
  const { commonName, dnsNames, ipAddresses } = request;
  if (!commonName.startsWith(prefix) || commonName === prefix)
    return refuse(`the common name is "${commonName}", not a node's`);
  if (spec.username !== commonName) return refuse(`it was made by ${spec.username}, for ${commonName}`);
  if (!spec.groups?.includes(group)) return refuse(`${spec.username} is not in ${group}`);
  if (request.organizations.length !== 1 || request.organizations[0] !== group || request.otherNames > 0)
    return refuse(`the subject is not exactly O=${group}, CN=${commonName}`);
  if (request.otherSans > 0) return refuse('it asks for names that are neither DNS names nor addresses');
  if (dnsNames.length + ipAddresses.length === 0) return refuse('it asks for no name');
  const usages = new Set(spec.usages ?? []);
  usages.delete('key encipherment');
  if (usages.size !== 2 || !usages.has('digital signature') || !usages.has('server auth'))
    return refuse(`the usages are ${spec.usages?.join(', ')}`);

  const name = commonName.slice(prefix.length);
  const node = nodes.find(({ metadata }) => metadata.name === name);
  if (!node) return { verdict: 'wait', reason: `there is no node ${name}` };
  const own = namesOf(node);
  const foreign = [...dnsNames.map((dns) => dns.toLowerCase()), ...ipAddresses.map(canonical)].filter(
    (wanted) => !own.has(wanted),
  );
  if (foreign.length > 0)
    return own.size <= 1
      ? { verdict: 'wait', reason: `node ${name} has no addresses yet` }
      : refuse(`${foreign.join(', ')} is not of node ${name}`);
  const rival = nodes.find((other) => other !== node && [...namesOf(other)].some((claimed) => own.has(claimed)));
  if (rival) return refuse(`node ${rival.metadata.name} claims a name or address of node ${name} too`);
  return { verdict: 'approve', node: name };
}

const addressTypes = new Set(['Hostname', 'InternalDNS', 'ExternalDNS', 'InternalIP', 'ExternalIP']);

function namesOf(node: NodeAddresses): Set<string> {
  const addresses = (node.status?.addresses ?? [])
    .filter(({ type }) => addressTypes.has(type))
    .map(({ address }) => address);
  return new Set([node.metadata.name.toLowerCase(), ...addresses.map(canonical)]);
}

/** One spelling for each address; names in lower case. */
function canonical(text: string): string {
  if (!isIPv6(text)) return isIP(text) ? text : text.toLowerCase();
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}
