import * as z from 'zod';
import { logsStorage } from '../values/sizes.ts';
import { logsRetention } from '../values/times.ts';
import { flag } from './flag.ts';

/** The log view: whether the plane keeps its logs, where, and how long. */
export const logFields = {
  logs: z
    .boolean()
    .default(false)
    .meta(
      flag({
        group: 'Logs',
        flag: 'logs',
        help: "keep the plane's logs and its audit events, searchable with k8sk8s logs query and logs open",
      }),
    ),
  logsStorage: logsStorage.default('auto').meta(
    flag({
      group: 'Logs',
      flag: 'logs-storage',
      arg: 'SIZE|HOW',
      help: 'auto (a volume of 2Gi where etcd has one, else as ephemeral), ephemeral (1Gi in the pod, lost with it) or the size of a volume',
    }),
  ),
  logsRetention: logsRetention.default('7d').meta(
    flag({
      group: 'Logs',
      flag: 'logs-retention',
      arg: 'TIME',
      help: 'how long lines are kept: 1d or more; the oldest days go earlier where the storage is nearly full',
    }),
  ),
};
