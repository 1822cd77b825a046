import type { Component } from '../config/components.ts';
import type { Secret } from '../kube/objects.ts';
import { inspect } from '../pki/inspect.ts';
import { egressName } from './egress.ts';
import { authoritiesSecret, hashOf } from './secrets.ts';

/** A leaf that its program reads once, unlike all others: that of konnectivity's server. */
const readOnce = ['konnectivity-server.crt', 'konnectivity-server.key'];

/** What the controller-manager mounts of the authorities: templates/plane/kube-controller-manager.yaml. */
const signerFiles = [
  'ca.crt',
  'ca.key',
  'ca-signer.crt',
  'ca-signer.key',
  'kubelet-serving-ca.crt',
  'kubelet-serving-ca.key',
  'service-account.key',
];

/**
 * Hash of what a component reads only once, so that its pod has to be made anew when it changes. A certificate that was
 * renewed, of the same names and the same issuer, is not of that kind: all components read theirs again by themselves,
 * within two minutes of the Secret's change. Pure.
 */
export function restartHash(component: Component, secrets: Secret[]): string {
  const own = secrets.filter(
    ({ metadata: { name } }) => name === component || (component === 'kube-apiserver' && name === egressName),
  );
  switch (component) {
    // It reads its certificates at every handshake, and a new pod would lose an ephemeral plane's data.
    case 'etcd':
      return hashOf(own.map((secret) => only(secret, (file) => /-ca\.crt$/.test(file))));
    case 'kube-controller-manager': {
      const authorities = secrets.filter(({ metadata: { name } }) => name === authoritiesSecret);
      return hashOf([
        ...own.map(withoutRenewals),
        ...authorities.map((secret) => only(secret, (file) => signerFiles.includes(file))),
      ]);
    }
    default:
      return hashOf(own.map(withoutRenewals));
  }
}

function only(secret: Secret, wanted: (file: string) => boolean): Secret {
  return { ...secret, data: Object.fromEntries(Object.entries(secret.data ?? {}).filter(([file]) => wanted(file))) };
}

/** Leaves, which have their key beside them, as what they say rather than as what they are. */
function withoutRenewals(secret: Secret): Secret {
  const data = secret.data ?? {};
  const isLeaf = (file: string) =>
    /\.(crt|key)$/.test(file) &&
    !readOnce.includes(file) &&
    data[file.replace(/\.key$/, '.crt')] !== undefined &&
    data[file.replace(/\.crt$/, '.key')] !== undefined;
  const entries = Object.entries(data).flatMap(([file, value]): [string, string][] => {
    if (!isLeaf(file)) return [[file, value]];
    return file.endsWith('.key') ? [] : [[file, identityOf(Buffer.from(value, 'base64').toString('utf8'))]];
  });
  return { ...secret, data: Object.fromEntries(entries) };
}

function identityOf(certificate: string): string {
  const { commonName, organizations, issuer, dnsNames, ipAddresses, usages } = inspect(certificate);
  return JSON.stringify([commonName, organizations, issuer, dnsNames, ipAddresses, usages]);
}
