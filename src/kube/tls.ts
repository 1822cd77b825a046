import net from 'node:net';
import tls from 'node:tls';
import type { Credential, ServerTrust } from './connection.ts';

/** The part of node's https options that says who the server is and who asks. */
export type TlsOptions = Pick<
  tls.ConnectionOptions,
  'secureContext' | 'rejectUnauthorized' | 'servername' | 'checkServerIdentity'
> & {
  secureEndpoint: boolean;
  /** A name that the connection sets instead of the server's host. */
  chosenName?: string;
};

/**
 * What a TLS connection to `server` is made with, as Go's TLS does it: every certificate of `trust.authorities` is an
 * anchor, and a name has to stand among the certificate's alternative names.
 *
 * @throws Error when a certificate or key cannot be used
 */
export function tlsOptions(server: URL, trust: ServerTrust = {}, client: Credential['client']): TlsOptions {
  const secureEndpoint = server.protocol === 'https:';
  // What an http: server's proxy is to be known by counts as well.
  if (!secureEndpoint && !trust.authorities) return { secureEndpoint };
  const expected = trust.serverName ?? bareHost(server.hostname);
  return {
    secureEndpoint,
    chosenName: trust.serverName,
    secureContext: tls.createSecureContext({
      ...(trust.authorities && { ca: [...trust.authorities] }),
      ...(client && { cert: client.certificate, key: client.key }),
      minVersion: 'TLSv1.2',
      allowPartialTrustChain: true,
    } as tls.SecureContextOptions),
    rejectUnauthorized: trust.insecure !== true,
    // An address is not asked for by name (RFC 6066, section 3).
    servername: net.isIP(expected) ? '' : expected,
    checkServerIdentity: (_, certificate) => checkName(expected, certificate),
  };
}

/** As Go does it: the subject's common name does not count. */
export function checkName(expected: string, certificate: tls.PeerCertificate): Error | undefined {
  if (certificate.subjectaltname) return tls.checkServerIdentity(expected, certificate);
  const message = `the certificate has no alternative names, and ${expected} would have to be one`;
  return Object.assign(new Error(message), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

/** An IPv6 address without the brackets that it has in URLs. */
export function bareHost(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}
