import { load } from 'js-yaml';
import { messageOf, UserError } from '../base/errors.ts';

interface Kubeconfig {
  'current-context'?: string;
  clusters?: { name: string; cluster?: Record<string, unknown> }[];
  users?: { name: string; user?: Record<string, unknown> }[];
  contexts?: { name: string; context?: { cluster?: string; user?: string } }[];
}

/** What names a file or program of the machine where a kubeconfig was written. */
const elsewhere = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile', 'exec', 'auth-provider'];

/**
 * Where a kubeconfig leads that the API server asks a webhook by. It is read in the API server's pod, so all of it has to be inside.
 *
 * @returns the URL of the webhook
 * @throws UserError `webhook-kubeconfig`
 */
export function webhookServer(text: string): string {
  const { clusters, users, contexts, ...config } = parsed(text);
  const context = contexts?.find(({ name }) => name === config['current-context'])?.context;
  const cluster = clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  const user = users?.find(({ name }) => name === context?.user)?.user;
  const server = cluster?.server;
  if (typeof server !== 'string') throw unusable('its current-context leads to no server');
  if (!URL.canParse(server) || new URL(server).protocol !== 'https:')
    throw unusable(`its server ${server} is no https URL`);
  const named = elsewhere.find((key) => key in { ...cluster, ...user });
  if (named !== undefined)
    throw unusable(
      `it has "${named}", which is not there in the pod of the API server; kubectl config view --flatten puts files inside`,
    );
  return server;
}

function parsed(text: string): Kubeconfig {
  try {
    const found = load(text);
    if (typeof found === 'object' && found !== null) return found as Kubeconfig;
  } catch (error) {
    throw unusable(messageOf(error));
  }
  throw unusable('it is no mapping');
}

function unusable(why: string): UserError {
  return new UserError({
    what: 'the API server cannot ask a webhook by this kubeconfig',
    why,
    fix: 'give a kubeconfig whose current-context has an https server, and certificates and tokens inside',
    anchor: 'webhook-kubeconfig',
    kind: 'usage',
  });
}
