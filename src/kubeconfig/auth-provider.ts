import { readFileSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import type { OidcCredentials } from '../kube/connection.ts';
import { proxiesOf } from '../kube/proxy.ts';
import type { UserEntry } from './decode.ts';
import { keepTokens } from './keep-tokens.ts';
import type { NamedUser } from './named-file.ts';
import { usableCertificates } from './pem.ts';
import { kubeconfigError } from './problem.ts';
import type { Surroundings } from './surroundings.ts';
import { systemRoots } from './system-roots.ts';

/** Providers that kubectl had once, and what took their place. */
const gone: Record<string, string> = {
  gcp: 'gke-gcloud-auth-plugin',
  azure: 'kubelogin',
};

/** The auth-provider of a user. @throws UserError `infra-kubeconfig` */
export function oidcOf(
  user: NamedUser,
  { name, config }: NonNullable<UserEntry['auth-provider']>,
  { env, notice }: Surroundings,
): OidcCredentials {
  const { where, file } = user;
  if (gone[name] !== undefined)
    throw kubeconfigError({
      what: `the auth-provider ${name} of ${where} is gone: Kubernetes took it away with 1.26`,
      why: `${gone[name]}, a credential plugin, took its place`,
      fix: `install ${gone[name]} and let it write the kubeconfig anew`,
    });
  if (name !== 'oidc')
    throw kubeconfigError({ what: `the auth-provider "${name}" of ${where} is not known`, why: 'oidc is' });
  const field = (key: string) => config[key] || undefined;
  const required = (key: string): string => {
    const value = field(key);
    if (value !== undefined) return value;
    throw kubeconfigError({ what: `the auth-provider oidc of ${where} has no ${key}` });
  };
  return {
    issuer: required('idp-issuer-url'),
    clientId: required('client-id'),
    clientSecret: field('client-secret'),
    idToken: field('id-token'),
    refreshToken: field('refresh-token'),
    authorities: issuerAuthorities(config, where) ?? systemRoots(env),
    proxies: proxiesOf(env),
    where,
    keep: async (tokens) => {
      try {
        await keepTokens(file, user.name, tokens);
      } catch (error) {
        notice?.(
          `The new tokens of ${where} could not be written there: ${messageOf(error)}. The next login may be by hand.`,
        );
      }
    },
  };
}

function issuerAuthorities(config: Record<string, string>, where: string): string[] | undefined {
  const [file, data] = [config['idp-certificate-authority'], config['idp-certificate-authority-data']];
  if (!file && !data) return undefined;
  const field = data ? 'idp-certificate-authority-data' : 'idp-certificate-authority';
  let authorities: string[];
  try {
    authorities = usableCertificates(data ? Buffer.from(data, 'base64').toString('utf8') : readFileSync(file!, 'utf8'));
  } catch (error) {
    throw kubeconfigError({ what: `the ${field} of ${where} cannot be read`, why: messageOf(error), cause: error });
  }
  if (authorities.length > 0) return authorities;
  throw kubeconfigError({ what: `the ${field} of ${where} has no certificate in it` });
}
