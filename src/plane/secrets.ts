import type { Secret } from '../kube/objects.ts';
import { buildKubeconfig } from '../kubeconfig/build.ts';
import { trusted as trustedOf } from '../pki/authority.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import { certificatesIn } from '../pki/inspect.ts';
import { authoritiesFiles, credentialsIn, pair, readAuthorities } from './authorities-secret.ts';
import type { ComponentSecret, SecretContext } from './components/component.ts';
import { encryptionFile, encryptionFiles, readEncryption } from './components/kube-apiserver/encryption-config.ts';
import { identityName, webhookIn } from './components/kube-apiserver/identity.ts';
import { components } from './components/table.ts';
import { authoritiesSecret, labelsOf } from './names.ts';

/** Of no component: what the administrator's kubeconfig is made of. */
export const adminSecret: ComponentSecret = {
  name: 'admin-kubeconfig',
  holds: (leaf) => leaf === 'admin',
  trusted: ['ca'],
  files: (bundle, context) => ({ kubeconfig: adminKubeconfig(bundle, context) }),
};

/** All that a plane may have, but for the one of the CAs. */
const all: ComponentSecret[] = [...components.flatMap(({ secrets }) => secrets), adminSecret];

export const secretNames = [authoritiesSecret, ...all.map(({ name }) => name)];

/** Those whose start files lie in Secrets beside them, which are named by their content. */
export const secretsByContent = all.filter(({ byContent }) => byContent).map(({ name }) => name);

/** The Secret that holds a certificate, by its name in the table: of a CA, or what stands beside it, the CAs'. */
export function secretOf(certificate: string): string {
  return all.find(({ holds }) => holds(certificate))?.name ?? authoritiesSecret;
}

/** The plane's Secrets, start files among their files, the CAs' first. Pure but for the files of the package. */
export function buildSecrets(bundle: PkiBundle, context: SecretContext): Secret[] {
  const authorities = { ...authoritiesFiles(bundle), ...encryptionFiles(bundle) };
  const others = all.map((each) => secret(each.name, context, filesOf(each, bundle, context)));
  return [secret(authoritiesSecret, context, authorities), ...others];
}

function filesOf({ holds, trusted, files }: ComponentSecret, bundle: PkiBundle, context: SecretContext) {
  const leaves = Object.entries(bundle.leaves).filter(([leaf]) => holds(leaf));
  return {
    ...Object.fromEntries(trusted.map((name) => [`${name}.crt`, trustedOf(bundle.authorities[name]!)])),
    ...Object.fromEntries(leaves.flatMap(([leaf, credential]) => pair(leaf, credential))),
    ...files?.(bundle, context),
  };
}

/**
 * The certificates that a plane's Secrets hold, as far as they are there: what an earlier run left is found again.
 *
 * @returns undefined when there is none of them yet; with some gone, what is left, so that a lost CA is noticed
 */
export function readBundle(secrets: Secret[]): PkiBundle | undefined {
  const files = new Map(secrets.map((each) => [each.metadata.name, textOf(each)]));
  if (files.size === 0) return undefined;
  const authorities = files.get(authoritiesSecret) ?? {};
  const leaves = all.flatMap(({ name, holds }) => {
    const own = files.get(name) ?? {};
    const known = new Set(Object.keys(own).map((file) => file.replace(/\.(crt|key)$/, '')));
    return credentialsIn(own, [...known].filter(holds));
  });
  return {
    ...readAuthorities(authorities),
    leaves: Object.fromEntries(leaves),
    encryption: readEncryption(authorities[encryptionFile] ?? files.get('kube-apiserver')?.[encryptionFile]),
    webhook: webhookIn(files.get(identityName) ?? {}),
  };
}

function textOf({ data = {} }: Secret): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([file, value]) => [file, Buffer.from(value, 'base64').toString('utf8')]),
  );
}

export function adminKubeconfig(bundle: PkiBundle, context: Pick<SecretContext, 'publicServer' | 'spec'>): string {
  const { port } = new URL(context.publicServer);
  return buildKubeconfig({
    server: context.publicServer,
    certificateAuthority: trustedOf(bundle.authorities.ca!),
    clusterName: context.spec.host,
    userName: `${context.spec.host}-admin`,
    client: bundle.leaves.admin!,
    further: context.spec.moreHosts.map((name) => ({ name, server: `https://${name}:${port === '' ? 443 : port}` })),
  });
}

function secret(name: string, context: SecretContext, files: Record<string, string>): Secret {
  const ofComponent = name !== authoritiesSecret && name !== adminSecret.name;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      labels: labelsOf(context.planeId, ofComponent ? name : 'certificates', context.spec.kubernetesVersion),
    },
    type: 'Opaque',
    data: Object.fromEntries(
      Object.entries(files).map(([file, text]) => [file, Buffer.from(text, 'utf8').toString('base64')]),
    ),
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
