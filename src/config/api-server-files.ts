import * as z from 'zod';

/*
 * Files of the API server that people may give whole, as far as k8sk8s touches them; the API server itself judges the rest
 * (https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/).
 */

const text = (maxLength = 1024) => z.string().meta({ maxLength });
const long = 65_536;

const claim = z.looseObject({
  claim: text().optional(),
  prefix: text().optional(),
  expression: text(8192).optional(),
});

const authenticator = z.looseObject({
  issuer: z.looseObject({
    url: text(),
    discoveryURL: text().optional(),
    certificateAuthority: text(long).optional(),
    egressSelectorType: text().optional(),
  }),
  claimMappings: z.looseObject({ username: claim, groups: claim.optional() }),
  userValidationRules: z.array(z.looseObject({ expression: text(8192) })).optional(),
});

const group = 'apiserver.config.k8s.io';

/** What k8sk8s touches of it; the API server judges the rest. */
export const authenticationConfiguration = z.looseObject({
  apiVersion: z.enum([`${group}/v1`, `${group}/v1beta1`]),
  kind: z.literal('AuthenticationConfiguration', { error: `has to be an ${group}/v1 AuthenticationConfiguration` }),
  jwt: z.array(authenticator),
});

/** A source of tokens, as the API server's `jwt` has it. */
export type Authenticator = z.infer<typeof authenticator>;

/** Where a name or groups come from. */
export type Mapping = z.infer<typeof claim>;

const authorizer = z.looseObject({
  type: text(),
  name: text(),
  webhook: z
    .looseObject({
      failurePolicy: text().optional(),
      connectionInfo: z.looseObject({ type: text() }).optional(),
      matchConditions: z.array(z.looseObject({ expression: text(8192) })).optional(),
    })
    .optional(),
});

export const authorizationConfiguration = z.looseObject({
  apiVersion: z.enum([`${group}/v1`, `${group}/v1beta1`]),
  kind: z.literal('AuthorizationConfiguration', { error: `has to be an ${group}/v1 AuthorizationConfiguration` }),
  authorizers: z.array(authorizer),
});

/** Who is asked whether a request may pass, as the API server's `authorizers` has it. */
export type Authorizer = z.infer<typeof authorizer>;
