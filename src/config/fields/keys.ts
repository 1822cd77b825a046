import * as z from 'zod';
import { flag } from './flag.ts';

/** The plane's keys. */
export const keyFields = {
  keyType: z
    .enum(['ec', 'rsa'])
    .default('ec')
    .meta(flag({ group: 'Keys', flag: 'key-type', arg: 'TYPE', help: 'ec (P-256) or rsa (2048 bits)' })),
  seal: z
    .enum(['none', 'passphrase-file', 'key-file'])
    .default('none')
    .meta(
      flag({
        group: 'Keys',
        flag: 'seal',
        arg: 'KIND',
        help: "seal the key of the plane's CA with the file of --seal-file: passphrase-file, key-file (age) or none",
      }),
    ),
};
