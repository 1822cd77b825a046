import { setTimeout as sleep } from 'node:timers/promises';
import { words } from '../base/words.ts';
import { isRoutedByName } from '../config/exposure.ts';
import { field } from '../config/flags.ts';
import type { Proxies } from '../kube/connection.ts';
import { ApiError } from '../kube/errors.ts';
import { shownCertificate } from '../kube/shown-certificate.ts';
import { Transport } from '../kube/transport.ts';
import { certificatesIn, inspect, signedBy } from '../pki/inspect.ts';
import { readAuthority } from '../plane/secrets.ts';
import { type DeployCheck, type DeployContext, ok } from './check.ts';

/** For so many milliseconds, a deleted plane may still be reached. */
const lastingLimit = 30_000;
const askAgainAfter = 2000;

/**
 * Two planes with one HOST: ingress controllers lead the users of the older one to the newer one, or take turns. A plane that
 * sleeps or is being deployed cannot be seen from here.
 */
export const hostTaken: DeployCheck = {
  name: 'host-taken',
  claim: ({ spec }) => `No other API server answers at ${spec.host}`,
  anchor: 'host-taken',
  severity: 'fatal',
  dependsOn: ['host'],
  // A node port and the address of a load balancer belong to one service of the infra cluster, which says when it is taken.
  // Policies say which HOST an object may have, and nobody says it of a record: by that, an operator in a pod would dial anything.
  applies: ({ cluster, spec, asRecorded }) => isRoutedByName(spec) && !(asRecorded && cluster.hostedBy === 'service'),
  async probe(context) {
    const { spec } = context;
    const end = performance.now() + lastingLimit;
    for (;;) {
      const other = await otherApiServer(context);
      if (other === undefined) return ok();
      if (performance.now() < end) await sleep(askAgainAfter);
      else
        return {
          state: 'failed',
          what: `the host ${spec.host} belongs to another cluster: an API server that is not of this plane answers there`,
          why: other,
          fix: words`choose another ${field('host')}; or first expose that cluster under another name, or delete it`,
        };
    }
  },
};

/** How an API server that is not of this plane shows itself at HOST. Credentials are not sent. */
export async function otherApiServer({ cluster, spec, existing }: DeployContext): Promise<string | undefined> {
  const { proxies } = cluster.transport.connection;
  const port = spec.port ?? 443;
  const shown = await shownCertificate(spec.host, port, proxies);
  if (!shown) return undefined;
  const certificate = shown.toString();
  const own = certificatesIn(readAuthority((await existing()).ofKind('Secret')) ?? '');
  if (own.some((authority) => signedBy(certificate, authority))) return undefined;
  const { commonName, issuer, dnsNames } = inspect(certificate);
  if (dnsNames.includes('kubernetes.default.svc'))
    return `it shows a certificate for ${commonName}, issued by ${issuer}`;
  const server = `https://${spec.host}:${port}`;
  return (await answersAsApiServer(server, proxies)) ? 'it answers /version as an API server does' : undefined;
}

async function answersAsApiServer(server: string, proxies: Proxies | undefined): Promise<boolean> {
  const transport = new Transport({ server, tls: { insecure: true }, proxies }, 'hosted');
  try {
    const { body } = await transport.request<{ gitVersion?: unknown }>({
      method: 'GET',
      path: '/version',
      retries: 0,
      timeout: 3000,
    });
    return typeof body?.gitVersion === 'string';
  } catch (error) {
    // A Status, for a caller without a name: 401 or 403 with a reason.
    return error instanceof ApiError && error.reason !== '';
  } finally {
    await transport.close();
  }
}
