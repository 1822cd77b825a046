import * as z from 'zod';
import { image } from '../values.ts';
import { flag } from './flag.ts';

/** Workers as pods. */
export const workerFields = {
  workerPods: z.coerce
    .number()
    .int()
    .min(0, 'has to be 0 to 100')
    .max(100, 'has to be 0 to 100')
    .default(0)
    .meta(
      flag({
        group: 'Worker pods',
        flag: 'worker-pods',
        arg: 'N',
        help: 'workers as privileged pods of the infra cluster; who administers the hosted cluster is root on their infra nodes then',
      }),
    ),
  workerImage: image.optional().meta(
    flag({
      group: 'Worker pods',
      flag: 'worker-image',
      arg: 'IMAGE',
      help: 'image of the worker pods, as Dockerfile.worker makes it',
    }),
  ),
};
