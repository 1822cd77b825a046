import { type Command, Option } from 'commander';
import { createBootstrapToken } from '../access/bootstrap-token.ts';
import { tokenTtl } from '../access/files.ts';
import { machineAs, machineFormats } from '../access/machine/formats.ts';
import { kubeletVersionOf } from '../access/machine/kubelet-version.ts';
import { kubeadmByToken, type Surroundings } from '../access/machine/machine.ts';
import { renderWorkerConfig, workerConfig } from '../access/worker-config.ts';
import { workerScript } from '../access/worker-script.ts';
import { UserError } from '../base/errors.ts';
import { command as commandPart, option, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import { lifetimeOf, readLifetimeJob } from '../live/lifetime.ts';
import { openPlane, type Plane } from '../live/open.ts';
import { trusted } from '../pki/authority.ts';
import { planeSelector } from '../plane/names.ts';
import {
  addConnectionOptions,
  type ConnectionOptions,
  outputOption,
  parseDuration,
  reporterOf,
  withInfra,
} from './options/connection.ts';
import { inPlane } from './options/in-plane.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addConnectionOptions(command)
    .addOption(new Option('--script', 'print worker.sh, as deploy writes it').conflicts(['output', 'format']))
    .addOption(
      new Option(
        '--format <FORMAT>',
        'print all that one machine needs, with a bootstrap token: a script, user-data, a configuration, units, or a script that calls kubeadm join',
      )
        .choices(Object.keys(machineFormats))
        .conflicts('output'),
    )
    .option('--ttl <TIME>', 'with --format, how long its token is accepted (default: 24h)')
    .option(
      '--mirror <URL>',
      'with --format, where the machine installs from instead of pkgs.k8s.io, dl.k8s.io, github.com and download.docker.com',
    )
    .option('--kubelet-version <VERSION>', "with --format, of the kubelet (default: the plane's)")
    .option('--http-proxy <URL>', 'with --format, for the installation, containerd and the kubelet')
    .option('--https-proxy <URL>', 'with --format, the same for https')
    .option(
      '--proxy-exceptions <LIST>',
      'with --format, what is reached without a proxy besides the networks of the cluster',
    )
    .addOption(
      new Option('--discovery <HOW>', 'with --format kubeadm: by a file, or by a token alone, one line')
        .choices(['file', 'token'])
        .default('file'),
    )
    .addOption(outputOption())
    .action(run);
}

interface Options extends ConnectionOptions, Omit<Surroundings, 'noProxy'> {
  output: string;
  script?: boolean;
  format?: keyof typeof machineFormats;
  ttl?: string;
  discovery: 'file' | 'token';
  proxyExceptions?: string;
}

async function run(options: Options): Promise<void> {
  if (options.format !== undefined) {
    await printMachine(options, options.format);
    return;
  }
  await withInfra(options, async (cluster) => {
    const [{ spec, addresses, record }, job] = await Promise.all([openPlane(cluster), readLifetimeJob(cluster)]);
    if (options.script) {
      process.stdout.write(workerScript(spec, addresses));
      return;
    }
    const endsAt = lifetimeOf(job)?.endsAt;
    if (endsAt !== undefined)
      reporterOf(options).warn(
        `the plane ends at ${endsAt}: its workers go on running their pods then, until somebody stops them, and find no API server`,
      );
    const pods = await cluster.pods(planeSelector(record.planeId));
    const infraNodes = [...new Set(pods.items.flatMap(({ status }) => status?.hostIP ?? []))].sort();
    const config = workerConfig(spec, addresses, infraNodes);
    print(options, config, renderWorkerConfig);
  });
}

/** Its standard output is secret; what is to be known of it goes to standard error. */
async function printMachine(options: Options, format: NonNullable<Options['format']>): Promise<void> {
  const ttl = options.ttl === undefined ? tokenTtl : parseDuration(options.ttl, '--ttl');
  const around = { ...options, noProxy: options.proxyExceptions };
  if (options.mirror?.startsWith('http://'))
    reporterOf(options).warn(
      `${options.mirror} is not https, and keys and checksums come from there too: whoever stands in between can give the machine programs of his own`,
    );
  await inPlane(options, async (plane, hosted) => {
    if (options.discovery === 'token') demandDiscovery(plane);
    const { spec, addresses, bundle } = plane;
    if (options.kubeletVersion !== undefined) around.kubeletVersion = kubeletVersionOf(spec, options.kubeletVersion);
    if (format === 'systemd') {
      // Units have no secret in them.
      process.stdout.write(machineAs(format, { spec, addresses, authority: '', token: '', around }));
      return;
    }
    const { token, expires } = await createBootstrapToken(hosted, ttl, `of worker-config --format ${format}`);
    const joining = { spec, addresses, authority: trusted(bundle.authorities.ca!), token, around };
    const byToken = format === 'kubeadm' && options.discovery === 'token';
    process.stdout.write(byToken ? kubeadmByToken(joining) : machineAs(format, joining));
    process.stderr.write(`it has a bootstrap token, which is accepted until ${expires?.toISOString()}\n`);
  });
}

function demandDiscovery({ spec }: Plane): void {
  if (spec.kubeadmTokenDiscovery) return;
  throw new UserError({
    what: 'nobody who has a token alone can read the address and the CA of this plane',
    why: 'a plane opens cluster-info to anonymous requests only where it was asked for; all else stays closed to them',
    fix: words`leave ${option('discovery')} out, and the machine gets a file; or open it: ${commandPart('deploy', undefined, field('host', spec.host), field('kubeadmTokenDiscovery'))}, by which the API server is replaced`,
    anchor: 'no-token-discovery',
    kind: 'refused',
  });
}
