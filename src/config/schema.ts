import * as z from 'zod';
import { addressFields } from './fields/address.ts';
import { apiServerFields } from './fields/api-server.ts';
import { argumentFields } from './fields/arguments.ts';
import { etcdFields } from './fields/etcd.ts';
import { identityFields } from './fields/identity.ts';
import { imageFields } from './fields/images.ts';
import { keyFields } from './fields/keys.ts';
import { logFields } from './fields/logs.ts';
import { networkFields } from './fields/networks.ts';
import { podFields } from './fields/pods.ts';
import { versionFields } from './fields/version.ts';
import { workerFields } from './fields/workers.ts';

/**
 * The spec of a hosted cluster in one schema, from which the command line's options, cluster.yaml and the record are made. Each
 * file of fields/ has those of one subject; their order here is the order of the help.
 * values/ says what one value may be, rules.ts which values fit together.
 */
export const clusterSpec = z.strictObject({
  ...addressFields,
  ...versionFields,
  ...networkFields,
  ...apiServerFields,
  ...podFields,
  ...etcdFields,
  ...logFields,
  ...keyFields,
  ...argumentFields,
  ...identityFields,
  ...workerFields,
  ...imageFields,
});

/** A complete, valid spec of a hosted cluster. */
export type ClusterSpec = z.infer<typeof clusterSpec>;
/** What a person gave: absent fields get their recorded value or their default. */
export type ClusterSpecInput = z.input<typeof clusterSpec>;
