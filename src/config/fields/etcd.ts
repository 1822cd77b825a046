import * as z from 'zod';
import { objectName } from '../values/objects.ts';
import { etcdStorage } from '../values/sizes.ts';
import { flag } from './flag.ts';

/** Odd numbers: an even number tolerates no more lost members than the odd number below it. More than 5 would only be slower. */
const memberCounts = [1, 3, 5];
export const maximumMembers = Math.max(...memberCounts);

/** The members of etcd, and their volumes. */
export const etcdFields = {
  etcdMembers: z.coerce
    .number()
    .refine((count) => memberCounts.includes(count), 'has to be 1, 3 or 5')
    .meta({ type: 'integer', enum: memberCounts })
    .default(1)
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'etcd-members',
        arg: '1|3|5',
        help: 'etcd members: 3 tolerate the loss of one, 5 of two',
      }),
    ),
  etcdStorage: etcdStorage.default('auto').meta(
    flag({
      group: 'Pods of the plane',
      flag: 'etcd-storage',
      arg: 'auto|ephemeral|SIZE',
      help: "a volume of SIZE such as 10Gi for each etcd member, ephemeral (in etcd's pod), or auto: what the plane has; a new plane gets a volume if the infra cluster has a default StorageClass",
    }),
  ),
  etcdStorageClass: objectName('StorageClass')
    .optional()
    .meta(
      flag({
        group: 'Pods of the plane',
        flag: 'etcd-storage-class',
        arg: 'NAME',
        help: "StorageClass of etcd's volumes instead of the infra cluster's default",
      }),
    ),
};
