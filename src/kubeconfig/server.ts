import { option, words } from '../base/words.ts';
import type { Proxies, ServerTrust } from '../kube/connection.ts';
import { proxyFor } from '../kube/proxy.ts';
import type { ClusterEntry } from './decode.ts';
import { type NamedEntry, openNamed, refuseBoth, textOf } from './named-file.ts';
import { usableCertificates } from './pem.ts';
import { kubeconfigError } from './problem.ts';
import type { Surroundings } from './surroundings.ts';
import { systemRoots } from './system-roots.ts';

type ClusterPlace = NamedEntry<ClusterEntry>;

/** The server's URL: HOST and HOST:PORT alone are http. @throws UserError `infra-kubeconfig` */
export function serverOf({ entry: { server }, where }: ClusterPlace): URL {
  if (server === '')
    throw kubeconfigError({
      what: `${where} has no server`,
      why: 'nothing falls back to localhost:8080, nor to a variable KUBERNETES_MASTER',
      fix: words`write the field server into it, or choose another context with ${option('context', 'NAME')}`,
    });
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(server);
  const text = hasScheme ? server : `http://${server}`;
  const url = /[\s\p{C}]/u.test(server) || !URL.canParse(text) ? undefined : new URL(text);
  // A word before a colon is taken for a host, and a path needs a scheme before it.
  const isUsable = url && (hasScheme || (!server.startsWith('/') && url.pathname === '/'));
  if (!isUsable || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw kubeconfigError({
      what: `the server of ${where} is not a URL that can be asked: ${server}`,
      why: 'https://HOST:PORT is, and http://HOST:PORT for what needs no credentials',
    });
  url.search = '';
  url.hash = '';
  return url;
}

/** The field proxy-url. @throws UserError `infra-kubeconfig` */
export function proxyUrlOf({ entry, where }: ClusterPlace): string | undefined {
  const text = entry['proxy-url'];
  if (text === '') return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && ['http:', 'https:', 'socks5:'].includes(url.protocol) && url.hostname !== '') return text;
  throw kubeconfigError({
    what: `the proxy-url of ${where} is not the URL of a proxy`,
    why: 'http://HOST:PORT, https://HOST:PORT and socks5://HOST:PORT are, with USER:PASSWORD@ before HOST where the proxy wants that',
    fix: words`correct the field proxy-url, or choose another context with ${option('context', 'NAME')}`,
  });
}

/** What is wrong whatever the server's scheme. @throws UserError `infra-kubeconfig` */
export function checkTrust(place: ClusterPlace): void {
  refuseBoth(place, 'certificate-authority-data', 'certificate-authority');
  openNamed(place, 'certificate-authority');
}

/**
 * By what the server is known, and a proxy behind TLS as well: the CA of the file, else the system's.
 *
 * @throws UserError `infra-kubeconfig`
 */
export function trustOf(place: ClusterPlace, server: URL, proxies: Proxies, { env }: Surroundings): ServerTrust {
  const { entry, where } = place;
  if (server.protocol === 'http:') return proxyFor(server, proxies)?.protocol === 'https:' ? bySystem(env) : {};
  const serverName = entry['tls-server-name'] || undefined;
  const fields = ['certificate-authority', 'certificate-authority-data'] as const;
  for (const field of fields)
    refuseBoth(
      place,
      'insecure-skip-tls-verify',
      field,
      'a CA says whom to trust, and the other field that anybody is to be trusted',
    );
  if (entry['insecure-skip-tls-verify']) return { insecure: true, serverName };
  const field = fields.find((each) => entry[each] !== '');
  if (field === undefined) return { ...bySystem(env), serverName };
  const authorities = usableCertificates(textOf(place, 'certificate-authority'));
  if (authorities.length > 0) return { authorities, authoritiesOf: 'kubeconfig', serverName };
  throw kubeconfigError({
    what: `the ${field} of ${where} has no certificate in it`,
    why: 'a CA is one or more certificates in PEM',
    fix: words`get a fresh kubeconfig, or choose another context with ${option('context', 'NAME')}`,
  });
}

function bySystem(env: Surroundings['env']): ServerTrust {
  return { authorities: systemRoots(env), authoritiesOf: 'system' };
}
