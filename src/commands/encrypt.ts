import type { Command } from 'commander';
import { type EncryptionStatus, encryptionStatus, rotateEncryption } from '../operations/keys/encryption-key.ts';
import {
  addOutputOptions,
  addPlaneCommand,
  type ConnectionOptions,
  outputOption,
  runChange,
  withInfra,
} from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  const child = (name: string, description: string) => addPlaneCommand(command, name, description);
  child(
    'status',
    'show the key that encrypts Secrets; exit code 1 when Secrets are not encrypted, or a change of key is unfinished',
  )
    .addOption(outputOption())
    .action(status);
  addOutputOptions(child('rotate', 'change the key, and rewrite all Secrets with it'))
    .option('--timeout <TIME>', 'how long each restart of the API servers may take', '5m')
    .addOption(outputOption())
    .action(rotate);
}

async function status(options: ConnectionOptions & { output: string }): Promise<void> {
  await withInfra(options, async (cluster) => {
    const found = await encryptionStatus(cluster);
    print(options, found, render);
    if (found.stage !== 'encrypted' || found.unfinished || !found.inUse) process.exitCode = 1;
  });
}

/** Pure. */
export function render({ stage, writes, reads, inUse, unfinished, resources }: EncryptionStatus): string {
  const what = `${resources.join(', ')} of the hosted cluster`;
  const running = [
    ...(inUse ? [] : [`Not all API servers run by that yet${unfinished ? '' : ': run k8sk8s deploy again'}.`]),
    ...(unfinished ? ['A change of key is unfinished: k8sk8s encrypt rotate goes on with it.'] : []),
  ];
  switch (stage) {
    case 'plain':
      return [
        `Not encrypted: ${what} lie in etcd in plain text. k8sk8s encrypt rotate encrypts them.`,
        ...running,
      ].join('\n');
    case 'encrypted':
      return [`Encrypted: ${what} lie in etcd by ${writes} (secretbox).`, ...running].join('\n');
    default:
      return [`In between: ${what} are written by ${writes}, and read by ${reads.join(' and ')}.`, ...running].join(
        '\n',
      );
  }
}

async function rotate(options: ConnectionOptions & { timeout: string; output: string }): Promise<void> {
  await runChange(options, async (cluster, work) => {
    const { key, rewritten } = await rotateEncryption(cluster, work);
    work.reporter.line(`Secrets are encrypted by ${key} alone; written anew: ${rewritten}.`);
    print(options, { key, rewritten }, () => undefined);
  });
}
