import * as z from 'zod';
import { flag } from './flag.ts';

/** What the API server does for everyone: features and the audit log. */
export const apiServerFields = {
  featureGates: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9]*$/), z.enum(['true', 'false'], { error: 'has to be true or false' }))
    .default({})
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'feature-gates',
        arg: 'GATE=BOOL',
        help: 'feature gates of all Kubernetes components, comma-separated or repeated',
        map: true,
      }),
    ),
  auditPolicy: z
    .looseObject({ kind: z.literal('Policy', { error: 'has to be an audit.k8s.io/v1 Policy' }) })
    .optional()
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'audit-policy',
        arg: 'FILE',
        help: 'an audit.k8s.io/v1 Policy instead of the default one, which logs who did what, without bodies',
        file: 'yaml',
      }),
    ),
  audit: z
    .boolean()
    .default(true)
    .meta(
      flag({ group: 'Hosted cluster', flag: 'no-audit', help: 'write no audit log (k8sk8s logs --audit shows it)' }),
    ),
};
