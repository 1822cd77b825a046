import { homedir } from 'node:os';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { filePaths } from '../access/files.ts';
import { infraKubeconfig, issuerOf, loginKubeconfig, serviceAccountInRbac } from '../access/outside.ts';
import { infraAudience } from '../config/infra-identity.ts';
import { mergeIntoFile, refuseForeignFile, writeFileAtomically } from '../kubeconfig/write.ts';
import { openPlane, type Plane } from '../live/open.ts';
import { trusted } from '../pki/authority.ts';
import { adminKubeconfig } from '../plane/secrets.ts';
import {
  addConnectionOptions,
  addOutputOptions,
  type ConnectionOptions,
  reporterOf,
  withInfra,
} from './options/connection.ts';
import { defaultKubeconfig } from './options/default-kubeconfig.ts';
import { addGitopsOptions, credentialFile, type GitopsOptions } from './options/gitops.ts';

interface KubeconfigOptions extends ConnectionOptions, GitopsOptions {
  dir: string;
  merge?: string | true;
  force?: boolean;
  output?: string;
  oidc?: string | true;
  infraServiceAccount?: string;
}

export function configure(command: Command): void {
  addGitopsOptions(addConnectionOptions(command))
    .option('--dir <DIR>', 'folder to write kubeconfig and ca.pem to', 'tls')
    .option(
      '--merge [FILE]',
      'merge it into FILE instead (default: the first of KUBECONFIG, or ~/.kube/config), keeping everything else there',
    )
    .option(
      '--oidc [ISSUER]',
      'write kubeconfig-oidc, a kubeconfig without a credential for people of an outside issuer: kubectl logs in with kubelogin (kubectl oidc-login)',
    )
    .option(
      '--infra-service-account <NAME>',
      "write kubeconfig-infra: kubectl asks the infra cluster for a token of this ServiceAccount of the plane's namespace (or NAMESPACE:NAME), which --trust-infra of deploy lets in",
    )
    .option('--force', 'overwrite entries and files of another cluster')
    .addOption(new Option('--output <->', 'print the kubeconfig instead, with -').choices(['-']));
  addOutputOptions(command).action(run);
}

async function run(options: KubeconfigOptions): Promise<void> {
  const reporter = reporterOf(options);
  await withInfra(options, async (cluster) => {
    const plane = await openPlane(cluster);
    const authority = trusted(plane.bundle.authorities.ca!);
    if (options.argocd !== undefined || options.flux !== undefined) {
      const { bundle, addresses } = plane;
      const { host } = plane.spec;
      const request = { server: addresses.publicServer, certificateAuthority: authority, client: bundle.leaves.admin! };
      process.stdout.write(credentialFile(options, { ...request, clusterName: host, userName: `${host}-admin` }));
      return;
    }
    const { suffix, content } = contentOf(plane, cluster.namespace, authority, options);
    if (options.output === '-') {
      process.stdout.write(content);
    } else if (options.merge) {
      const { spec } = plane;
      const file = options.merge === true ? defaultKubeconfig() : options.merge;
      reporter.line(
        `file "${file}" ${await mergeIntoFile(file, content, { force: options.force })}; use it with: kubectl --context ${spec.host}`,
      );
    } else {
      const paths = filePaths(options.dir);
      for (const [file, text] of [
        [`${paths.kubeconfig}${suffix}`, content],
        [paths.certificateAuthority, authority],
      ] as const) {
        if (!options.force) refuseForeignFile(file, authority);
        reporter.line(`file "${file}" ${await writeFileAtomically(file, text)}`);
      }
    }
  });
}

/** Of whom the kubeconfig is, and what its file's name ends in. */
function contentOf(
  { bundle, spec, addresses, record }: Plane,
  namespace: string,
  authority: string,
  options: KubeconfigOptions,
): { suffix: string; content: string } {
  const { oidc, infraServiceAccount: account } = options;
  const hosted = { host: spec.host, server: addresses.publicServer, authority };
  if (oidc !== undefined)
    return { suffix: '-oidc', content: loginKubeconfig(issuerOf(spec, oidc === true ? undefined : oidc), hosted) };
  if (account === undefined)
    return { suffix: '', content: adminKubeconfig(bundle, { spec, publicServer: addresses.publicServer }) };
  const full = account.includes(':') ? account : `${namespace}:${account}`;
  serviceAccountInRbac(spec, full);
  const [of, name] = full.split(':') as [string, string];
  const files = options.kubeconfig ?? process.env.KUBECONFIG ?? path.join(homedir(), '.kube', 'config');
  const infra = { kubeconfig: absolute(files), context: options.context };
  return {
    suffix: '-infra',
    content: infraKubeconfig({ namespace: of, name, audience: infraAudience(record.planeId) }, infra, hosted),
  };
}

/** The file may be used from any folder. */
function absolute(files: string): string {
  const list = files.split(path.delimiter).filter(Boolean);
  return list.map((file) => path.resolve(file)).join(path.delimiter);
}
