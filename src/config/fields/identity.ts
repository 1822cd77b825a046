import * as z from 'zod';
import { authenticationConfiguration, authorizationConfiguration } from '../api-server-files.ts';
import { objectName } from '../values/objects.ts';
import { issuerUrl } from '../values/urls.ts';
import { flag } from './flag.ts';

/** Whose tokens count, and who says what their bearers may do. */
export const identityFields = {
  authenticationConfig: authenticationConfiguration.optional().meta(
    flag({
      group: 'Identity',
      flag: 'authentication-config',
      arg: 'FILE',
      help: 'an apiserver.config.k8s.io/v1 AuthenticationConfiguration with the issuers (jwt) whose tokens count',
      file: 'yaml',
    }),
  ),
  authorizationConfig: authorizationConfiguration.optional().meta(
    flag({
      group: 'Identity',
      flag: 'authorization-config',
      arg: 'FILE',
      help: 'an apiserver.config.k8s.io/v1 AuthorizationConfiguration, with Node, RBAC and webhooks; default: Node and RBAC',
      file: 'yaml',
    }),
  ),
  authorizationWebhook: objectName('Secret')
    .optional()
    .meta(
      flag({
        group: 'Identity',
        flag: 'authorization-webhook',
        arg: 'KUBECONFIG',
        help: 'kubeconfig by which a webhook is asked what RBAC does not allow; in cluster.yaml the Secret of the namespace that has it, as kubeconfig',
        file: 'kubeconfig',
      }),
    ),
  oidcIssuer: issuerUrl.optional().meta(
    flag({
      group: 'Identity',
      flag: 'oidc-issuer',
      arg: 'URL',
      help: 'OpenID Connect provider whose ID tokens count, the short way to --authentication-config',
    }),
  ),
  oidcClientId: z
    .string()
    .min(1, 'is empty')
    .optional()
    .meta(
      flag({ group: 'Identity', flag: 'oidc-client-id', arg: 'ID', help: 'the audience that its tokens have to name' }),
    ),
  oidcUsernameClaim: z
    .string()
    .min(1, 'is empty')
    .default('sub')
    .meta(flag({ group: 'Identity', flag: 'oidc-username-claim', arg: 'CLAIM', help: 'claim with the user name' })),
  oidcUsernamePrefix: z
    .string()
    .optional()
    .meta(
      flag({
        group: 'Identity',
        flag: 'oidc-username-prefix',
        arg: 'PREFIX',
        help: 'what stands before the user name; - for nothing (default: oidc:)',
      }),
    ),
  oidcGroupsClaim: z
    .string()
    .min(1, 'is empty')
    .default('groups')
    .meta(flag({ group: 'Identity', flag: 'oidc-groups-claim', arg: 'CLAIM', help: 'claim with the groups' })),
  oidcGroupsPrefix: z
    .string()
    .optional()
    .meta(
      flag({
        group: 'Identity',
        flag: 'oidc-groups-prefix',
        arg: 'PREFIX',
        help: 'what stands before each group; - for nothing (default: oidc:)',
      }),
    ),
  oidcRequiredClaims: z
    .record(z.string(), z.string())
    .default({})
    .meta(
      flag({
        group: 'Identity',
        flag: 'oidc-required-claim',
        arg: 'CLAIM=VALUE',
        help: 'what a token has to say as well',
        map: true,
      }),
    ),
  oidcCa: z
    .string()
    .regex(/-----BEGIN CERTIFICATE-----/, 'has no certificate in PEM')
    .meta({ maxLength: 65_536 })
    .optional()
    .meta(
      flag({
        group: 'Identity',
        flag: 'oidc-ca-file',
        arg: 'FILE',
        help: "CA of the provider, as PEM; default: the CAs in the API server's image",
        file: 'text',
      }),
    ),
  kubeadmTokenDiscovery: z
    .boolean()
    .default(false)
    .meta(
      flag({
        group: 'Identity',
        flag: 'kubeadm-token-discovery',
        help: 'let anybody read cluster-info, the address and the CA, so that kubeadm join needs a token alone; default: it needs a file',
      }),
    ),
  allowSystemNames: z
    .array(z.string().regex(/^system:./, 'has to begin with system:'))
    .default([])
    .meta(
      flag({
        group: 'Identity',
        flag: 'allow-system-name',
        arg: 'NAME',
        help: 'a user or group whose name begins with system: that tokens of outside issuers may carry all the same',
        list: true,
      }),
    ),
  trustInfra: z
    .array(z.string().regex(/^(\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/, 'has to be a namespace, or * for all'))
    .default([])
    .meta(
      flag({
        group: 'Identity',
        flag: 'trust-infra',
        arg: 'NAMESPACE',
        help: 'service accounts of this namespace of the infra cluster are users of the hosted cluster, with the prefix infra:; * for all namespaces',
        list: true,
      }),
    ),
};
