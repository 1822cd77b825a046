import type { Command } from 'commander';
import { createBootstrapToken, listBootstrapTokens, revokeBootstrapToken } from '../access/bootstrap-token.ts';
import { filePaths, tokenTtl, workerKubeconfig } from '../access/files.ts';
import { UserError } from '../base/errors.ts';
import { refuseForeignFile, writeFileAtomically } from '../kubeconfig/write.ts';
import { trusted } from '../pki/authority.ts';
import { table } from '../ui/table.ts';
import { addPlaneCommand, type ConnectionOptions, outputOption, parseDuration } from './options/connection.ts';
import { inPlane } from './options/in-plane.ts';
import { print } from './options/print.ts';

interface CreateOptions extends ConnectionOptions {
  ttl?: string;
  description: string;
  write?: boolean;
  dir: string;
  force?: boolean;
  output: string;
}

export function configure(command: Command): void {
  const child = (name: string, description: string) => addPlaneCommand(command, name, description);
  child('create', 'make a bootstrap token for new workers')
    .option('--ttl <TIME>', 'how long it is accepted (default: 24h)')
    .option('--description <TEXT>', 'description of the token', 'made by k8sk8s token create')
    .option('--write', 'write the token into kubeconfig-kubelets in --dir')
    .option('--dir <DIR>', 'folder of the kubeconfigs', 'tls')
    .option('--force', "overwrite another cluster's file")
    .addOption(outputOption())
    .action(create);
  child('list', 'list the bootstrap tokens of the hosted cluster').addOption(outputOption()).action(list);
  child('revoke', 'revoke a token; workers that have joined stay')
    .argument('<ID>', 'ID of the token: the six characters before the dot')
    .action(revoke);
}

async function create(options: CreateOptions): Promise<void> {
  const ttl = options.ttl === undefined ? tokenTtl : parseDuration(options.ttl, '--ttl');
  await inPlane(options, async (plane, hosted) => {
    const file = filePaths(options.dir).bootstrapKubeconfig;
    const authority = trusted(plane.bundle.authorities.ca!);
    if (options.write && !options.force) refuseForeignFile(file, authority);
    const { id, token, expires } = await createBootstrapToken(hosted, ttl, options.description);
    if (options.write) {
      const outcome = await writeFileAtomically(file, workerKubeconfig(plane.spec, plane.addresses, authority, token));
      process.stderr.write(`file "${file}" ${outcome}; the token is accepted until ${expires?.toISOString()}\n`);
    } else print(options, { id, token, expires }, () => token);
  });
}

async function list(options: ConnectionOptions & { output: string }): Promise<void> {
  await inPlane(options, async (_, hosted) => {
    const now = Date.now();
    const tokens = (await listBootstrapTokens(hosted)).map(({ id, expires, description }) => ({
      id,
      expires,
      expired: expires !== undefined && expires.getTime() < now,
      description,
    }));
    print(options, tokens, () =>
      tokens.length === 0
        ? 'No tokens.'
        : table(
            ['ID', 'EXPIRES', 'DESCRIPTION'],
            tokens.map(({ id, expires, expired, description }) => [
              id,
              expired ? 'expired' : (expires?.toISOString() ?? 'never'),
              description,
            ]),
          ),
    );
  });
}

async function revoke(id: string, options: ConnectionOptions): Promise<void> {
  if (!/^[a-z0-9]{6}(\.[a-z0-9]{16})?$/.test(id))
    throw new UserError({
      what: `"${id.slice(0, 6)}" is not a token's ID`,
      fix: 'give the six characters that k8sk8s token list shows',
      anchor: 'bad-values',
      kind: 'usage',
    });
  await inPlane(options, async (_, hosted) => {
    const short = id.slice(0, 6);
    if (!(await revokeBootstrapToken(hosted, short)))
      throw new UserError({
        what: `there is no token ${short}`,
        fix: 'k8sk8s token list shows those that there are',
        anchor: 'no-token',
      });
    process.stderr.write(`token ${short} revoked\n`);
  });
}
