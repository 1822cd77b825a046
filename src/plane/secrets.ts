import { createHash } from 'node:crypto';
import { dump } from 'js-yaml';
import type { ClusterSpec } from '../config/schema.ts';
import type { Secret } from '../kube/objects.ts';
import { buildKubeconfig } from '../kubeconfig/build.ts';
import { renderTemplate } from '../manifests/render.ts';
import { type Authority, trusted as trustedOf, trustedOfClients } from '../pki/authority.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import { certificatesIn } from '../pki/inspect.ts';
import { authorityRows } from '../pki/table.ts';
import { egressName, egressProgram, egressSelector } from './egress.ts';
import { encryptionConfiguration, readEncryption } from './encryption-config.ts';
import { labelsOf } from './names.ts';

/** The plane's authorities and service-account keys: no pod mounts it but the controller-manager, and of it only the signers. */
export const authoritiesSecret = 'k8sk8s-ca';

const authorities = authorityRows.map(({ name }) => name);

/** Which certificates, with their keys, live in which Secret; and which authorities' certificates stand beside them. */
const contents: Record<string, { leaves: string[]; trusted: string[]; serviceAccount?: true }> = {
  // As many members as there are: see leavesOf.
  etcd: { leaves: [], trusted: ['etcd-ca', 'etcd-peer-ca'] },
  'kube-apiserver': {
    leaves: ['apiserver', 'apiserver-etcd-client', 'apiserver-kubelet-client', 'front-proxy-client'],
    trusted: ['ca', 'etcd-ca', 'kubelet-serving-ca', 'front-proxy-ca'],
    serviceAccount: true,
  },
  [egressName]: { leaves: ['egress', 'konnectivity-server'], trusted: ['ca'] },
  'kube-controller-manager': { leaves: ['controller-manager'], trusted: ['ca'] },
  'kube-scheduler': { leaves: ['scheduler'], trusted: ['ca'] },
  'admin-kubeconfig': { leaves: ['admin'], trusted: ['ca'] },
};

/** Beside the authorities, since without it nobody can read the hosted cluster's Secrets; the API server mounts a copy. */
const encryptionFile = 'encryption.yaml';
const nextKeyFile = 'service-account-next.key';
const switchedFile = 'service-account-switched';

const memberLeaf = /^etcd-\d+(-peer)?$/;

/** The certificates of a Secret; `known` are all that there are, for the etcd members among them. */
function leavesOf(name: string, known: string[]): string[] {
  return known.filter((leaf) => (name === 'etcd' ? memberLeaf.test(leaf) : contents[name]!.leaves.includes(leaf)));
}

/** The Secret that holds a certificate, by its name in the table: of an authority, or what stands beside it, the authorities'. */
export function secretOf(certificate: string): string {
  const own = Object.keys(contents).find((name) => leavesOf(name, [certificate]).length > 0);
  return own ?? authoritiesSecret;
}

export const secretNames = [authoritiesSecret, ...Object.keys(contents)];

/** Those of `secretNames` that a plane of this spec has. */
export function secretNamesOf(spec: ClusterSpec): string[] {
  return secretNames.filter((name) => name !== egressName || spec.egress !== 'none');
}

export interface SecretContext {
  planeId: string;
  spec: ClusterSpec;
  /** What controller-manager and scheduler dial: the API server service's cluster IP. */
  internalServer: string;
  /** What people dial. */
  publicServer: string;
}

/** The plane's Secrets, ready to apply. Pure but for the files of the package. */
export function buildSecrets(bundle: PkiBundle, context: SecretContext): Secret[] {
  const encryption = { [encryptionFile]: encryptionConfiguration(bundle.encryption ?? ['identity']) };
  const withEgress = context.spec.egress !== 'none';
  const own: Record<string, Record<string, string>> = {
    'kube-apiserver': {
      ...encryption,
      'authentication.yaml': dump(renderTemplate('plane/authentication.yaml', {})[0]),
      ...(context.spec.audit && {
        'audit-policy.yaml': dump(context.spec.auditPolicy ?? renderTemplate('plane/audit-policy.yaml', {})[0], {
          noRefs: true,
        }),
      }),
      ...(withEgress && { 'egress-selector.yaml': egressSelector(context.spec) }),
    },
    ...(withEgress && {
      [egressName]:
        context.spec.egress === 'kubelet'
          ? { 'egress.mjs': egressProgram() }
          : { kubeconfig: componentKubeconfig('egress', context) },
    }),
    'kube-controller-manager': { kubeconfig: componentKubeconfig('controller-manager', context) },
    'kube-scheduler': { kubeconfig: componentKubeconfig('scheduler', context) },
    'admin-kubeconfig': { kubeconfig: adminKubeconfig(bundle, context) },
  };
  const wanted = Object.entries(contents).filter(([name]) => secretNamesOf(context.spec).includes(name));
  const secrets = wanted.map(([name, { trusted, serviceAccount }]) =>
    secret(name, context, {
      ...Object.fromEntries(
        trusted.map((authority) => [`${authority}.crt`, trustedOf(bundle.authorities[authority]!)]),
      ),
      ...Object.fromEntries(
        leavesOf(name, Object.keys(bundle.leaves)).flatMap((leaf) => pair(leaf, bundle.leaves[leaf]!)),
      ),
      ...(name === 'kube-apiserver' && { 'ca.crt': trustedOfClients(bundle.authorities.ca!) }),
      ...(serviceAccount && serviceAccountFiles(bundle)),
      ...own[name],
    }),
  );
  const signers = secret(authoritiesSecret, context, {
    ...Object.assign({}, ...authorities.map((authority) => authorityFiles(authority, bundle.authorities[authority]!))),
    ...serviceAccountFiles(bundle),
    ...nextServiceAccountFiles(bundle),
    ...encryption,
  });
  return [signers, ...secrets];
}

/**
 * The certificates that a plane's Secrets hold, as far as they are there: what an earlier run left is found again.
 *
 * @returns undefined when there is none of them yet; with some gone, what is left, so that a lost authority is noticed
 */
export function readBundle(secrets: Secret[]): PkiBundle | undefined {
  const files = new Map(
    secrets.map((each) => [
      each.metadata.name,
      Object.fromEntries(
        Object.entries(each.data ?? {}).map(([file, data]) => [file, Buffer.from(data, 'base64').toString('utf8')]),
      ),
    ]),
  );
  if (files.size === 0) return undefined;
  const signers = files.get(authoritiesSecret) ?? {};
  const credentials = (names: string[], from: Record<string, string>) =>
    names.flatMap((name) => {
      const certificate = from[`${name}.crt`];
      const key = from[`${name}.key`] ?? (from[`${name}-sealed.age`] === undefined ? undefined : '');
      return certificate !== undefined && key !== undefined ? [[name, { certificate, key }] as const] : [];
    });
  return {
    authorities: Object.fromEntries(
      credentials(authorities, signers).map(([name, signer]) => [name, { ...signer, ...besideSigner(name, signers) }]),
    ),
    leaves: Object.fromEntries(
      Object.keys(contents).flatMap((name) => {
        const own = files.get(name) ?? {};
        const known = Object.keys(own).map((file) => file.replace(/\.(crt|key)$/, ''));
        return credentials(leavesOf(name, [...new Set(known)]), own);
      }),
    ),
    serviceAccount: {
      publicKey: signers['service-account.pub'] ?? '',
      privateKey: signers['service-account.key'] ?? '',
      ...(signers[nextKeyFile] !== undefined && { next: signers[nextKeyFile] }),
      ...(signers[switchedFile] !== undefined && { switched: signers[switchedFile] }),
    },
    encryption: readEncryption(signers[encryptionFile] ?? files.get('kube-apiserver')?.[encryptionFile]),
  };
}

/** Changes when, and only when, a Secret's content does: a pod template that carries it is rolled out again. */
export function hashOf(secrets: Secret[]): string {
  const hash = createHash('sha256');
  for (const each of secrets) hash.update(JSON.stringify([each.metadata.name, Object.entries(each.data ?? {}).sort()]));
  return hash.digest('hex').slice(0, 16);
}

export function adminKubeconfig(bundle: PkiBundle, context: Pick<SecretContext, 'publicServer' | 'spec'>): string {
  return buildKubeconfig({
    server: context.publicServer,
    certificateAuthority: trustedOf(bundle.authorities.ca!),
    clusterName: context.spec.host,
    userName: `${context.spec.host}-admin`,
    client: bundle.leaves.admin!,
  });
}

/** Names files beside it, so that the Secret's certificates are in it once. */
function componentKubeconfig(component: 'controller-manager' | 'scheduler' | 'egress', context: SecretContext): string {
  return dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'hosted', cluster: { server: context.internalServer, 'certificate-authority': 'ca.crt' } }],
    users: [{ name: component, user: { 'client-certificate': `${component}.crt`, 'client-key': `${component}.key` } }],
    contexts: [{ name: 'hosted', context: { cluster: 'hosted', user: component } }],
    'current-context': 'hosted',
  });
}

function secret(name: string, context: SecretContext, files: Record<string, string>): Secret {
  const component = name === 'etcd' || name.startsWith('kube-') ? (name as 'etcd' | 'kube-apiserver') : 'certificates';
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, labels: labelsOf(context.planeId, component, context.spec.kubernetesVersion) },
    type: 'Opaque',
    data: Object.fromEntries(
      Object.entries(files).map(([file, text]) => [file, Buffer.from(text, 'utf8').toString('base64')]),
    ),
  };
}

function pair(name: string, credential: { certificate: string; key: string }): [string, string][] {
  return [
    [`${name}.crt`, credential.certificate],
    [`${name}.key`, credential.key],
  ];
}

/** The signer and, while it is replaced, what stands beside it; nobody mounts that. */
function authorityFiles(name: string, authority: Authority): Record<string, string> {
  const { next, previous, switched, sealed, signer, formerSigners } = authority;
  return {
    ...(sealed ? sealedFiles(name, authority, sealed.text) : Object.fromEntries(pair(name, authority))),
    ...(next && !sealed && Object.fromEntries(pair(`${name}-next`, next))),
    ...(previous && { [`${name}-previous.crt`]: previous.certificate }),
    ...(previous?.key !== undefined && !sealed && { [`${name}-previous.key`]: previous.key }),
    ...(signer && Object.fromEntries(pair(`${name}-signer`, signer))),
    ...(formerSigners !== undefined && { [`${name}-former-signers.crt`]: formerSigners }),
    ...(switched !== undefined && { [`${name}-switched`]: switched }),
  };
}

/** Certificates without their keys, which are in the age file; of the one before it is noted whether that has its key. */
function sealedFiles(name: string, { certificate, next, previous }: Authority, text: string): Record<string, string> {
  return {
    [`${name}.crt`]: certificate,
    [`${name}-sealed.age`]: text,
    ...(next && { [`${name}-next.crt`]: next.certificate }),
    ...(previous?.key !== undefined && { [`${name}-previous-held`]: 'its key is in the age file' }),
  };
}

/** Keys that are sealed are empty. */
function besideSigner(name: string, files: Record<string, string>): Omit<Authority, 'certificate' | 'key'> {
  const file = (suffix: string) => files[`${name}-${suffix}`];
  const text = file('sealed.age');
  const [certificate, key] = [file('next.crt'), text === undefined ? file('next.key') : ''];
  const [previous, switched] = [file('previous.crt'), file('switched')];
  const previousKey = text === undefined ? file('previous.key') : file('previous-held') && '';
  const [signer, signerKey, formerSigners] = [file('signer.crt'), file('signer.key'), file('former-signers.crt')];
  return {
    ...(certificate !== undefined && key !== undefined && { next: { certificate, key } }),
    ...(previous !== undefined && {
      previous: { certificate: previous, ...(previousKey !== undefined && { key: previousKey }) },
    }),
    ...(switched !== undefined && { switched }),
    ...(text !== undefined && { sealed: { text } }),
    ...(signer !== undefined && signerKey !== undefined && { signer: { certificate: signer, key: signerKey } }),
    ...(formerSigners !== undefined && { formerSigners }),
  };
}

function serviceAccountFiles(bundle: PkiBundle): Record<string, string> {
  return {
    'service-account.pub': bundle.serviceAccount.publicKey,
    'service-account.key': bundle.serviceAccount.privateKey,
  };
}

/** Where a change of the key stands; nobody mounts it. */
function nextServiceAccountFiles({ serviceAccount: { next, switched } }: PkiBundle): Record<string, string> {
  return {
    ...(next !== undefined && { [nextKeyFile]: next }),
    ...(switched !== undefined && { [switchedFile]: switched }),
  };
}

/** PEM of what is trusted as the plane's CA, each certificate once, by whichever of its Secrets are left; undefined when none is. */
export function readAuthority(objects: { kind: string; metadata: { name: string } }[]): string | undefined {
  const found = objects
    .filter(({ kind, metadata }) => kind === 'Secret' && secretNames.includes(metadata.name))
    .flatMap((object) => (object as Secret).data?.['ca.crt'] ?? [])
    .map((data) => Buffer.from(data, 'base64').toString('utf8'));
  return found.length > 0 ? [...new Set(certificatesIn(found.join('\n')))].join('') : undefined;
}
