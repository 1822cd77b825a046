import { homedir } from 'node:os';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { filePaths } from '../access/files.ts';
import { issuerOf, loginKubeconfig } from '../access/outside.ts';
import { mergeIntoFile, refuseForeignFile, writeFileAtomically } from '../kubeconfig/write.ts';
import { openPlane } from '../live/open.ts';
import { trusted } from '../pki/authority.ts';
import { adminKubeconfig } from '../plane/secrets.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  reporterOf,
  withInfra,
} from './options/connection.ts';

interface KubeconfigOptions extends ConnectionOptions {
  dir: string;
  merge?: string | true;
  force?: boolean;
  output?: string;
  oidc?: string | true;
}

export function configure(command: Command): void {
  addConnectionOptions(command)
    .option('--dir <DIR>', 'folder to write kubeconfig and ca.pem to', 'tls')
    .option(
      '--merge [FILE]',
      'merge it into FILE instead (default: the first of KUBECONFIG, or ~/.kube/config), keeping everything else there',
    )
    .option(
      '--oidc [ISSUER]',
      'write kubeconfig-oidc, a kubeconfig without a credential for people of an outside issuer: kubectl logs in with kubelogin (kubectl oidc-login)',
    )
    .option('--force', 'overwrite entries and files of another cluster')
    .addOption(new Option('--output <->', 'print the kubeconfig instead, with -').choices(['-']));
  addOutputOptions(command).action(run);
}

async function run(options: KubeconfigOptions): Promise<void> {
  const reporter = reporterOf(options);
  await withInfra(options, async (cluster) => {
    const { bundle, spec, addresses } = await openPlane(cluster);
    const authority = trusted(bundle.authorities.ca!);
    const content = options.oidc
      ? loginKubeconfig(issuerOf(spec, options.oidc === true ? undefined : options.oidc), {
          host: spec.host,
          server: addresses.publicServer,
          authority,
        })
      : adminKubeconfig(bundle, { spec, publicServer: addresses.publicServer });
    if (options.output === '-') {
      process.stdout.write(content);
    } else if (options.merge) {
      const file = options.merge === true ? defaultKubeconfig() : options.merge;
      reporter.line(
        `file "${file}" ${await mergeIntoFile(file, content, { force: options.force })}; use it with: kubectl --context ${spec.host}`,
      );
    } else {
      const paths = filePaths(options.dir);
      for (const [file, text] of [
        [options.oidc ? `${paths.kubeconfig}-oidc` : paths.kubeconfig, content],
        [paths.certificateAuthority, authority],
      ] as const) {
        if (!options.force) refuseForeignFile(file, authority);
        reporter.line(`file "${file}" ${await writeFileAtomically(file, text)}`);
      }
    }
  });
}

function defaultKubeconfig(): string {
  return (process.env.KUBECONFIG ?? '').split(path.delimiter).find(Boolean) ?? path.join(homedir(), '.kube', 'config');
}
