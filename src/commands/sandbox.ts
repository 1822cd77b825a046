import { type Command, Option } from 'commander';
import { isIpv4 } from '../base/cidr.ts';
import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { resolveVersion } from '../config/versions.ts';
import { defaultSandbox, nameOption, type PodNetwork } from '../sandbox/state.ts';
import type { SandboxStatus } from '../sandbox/status.ts';
import { table } from '../ui/table.ts';
import { terminalReporter } from '../ui/terminal.ts';
import { outputOption } from './options/connection.ts';
import { print } from './options/print.ts';

interface Named {
  name: string;
  quiet?: boolean;
  verbose?: boolean;
}

export function configure(sandbox: Command): void {
  addUp(sandbox);
  addDown(sandbox);
  addEnv(sandbox);
  addHost(sandbox);
  addImage(sandbox);
  addJoin(sandbox);
  addLoadBalancer(sandbox);
  addStatus(sandbox);
}

function addUp(sandbox: Command): void {
  add(sandbox, 'up', 'make a sandbox, or complete and repair an existing one')
    .option('--workers <N>', 'idle worker machines', '2')
    .option('--infra-nodes <N>', 'nodes of the infra cluster', '1')
    .option('--kubernetes-version <VERSION>', 'Kubernetes version of the infra cluster and the workers')
    .option(
      '--also-version <VERSION...>',
      'more versions: their control plane images are imported, and workers of their planes run their kubelet',
    )
    .addOption(
      new Option(
        '--network <NETWORK>',
        "the infra cluster's pod network: bridge, or cilium, which enforces network policies and takes longer to build and to start (default: what the sandbox has, else bridge)",
      ).choices(['bridge', 'cilium']),
    )
    .option('--load-balancer', 'give addresses to services of type LoadBalancer, as sandbox load-balancer does')
    .action(
      async (
        options: Named & {
          workers: string;
          infraNodes: string;
          kubernetesVersion?: string;
          alsoVersion?: string[];
          network?: PodNetwork;
          loadBalancer?: boolean;
        },
      ) => {
        const { sandboxUp } = await import('../sandbox/up.ts');
        const started = performance.now();
        const reporter = terminalReporter(options);
        const state = await sandboxUp(
          {
            name: checkName(options.name),
            workers: count(options.workers, '--workers', 0),
            infraNodes: count(options.infraNodes, '--infra-nodes', 1),
            kubernetesVersion: version(options.kubernetesVersion),
            alsoVersions: options.alsoVersion?.map((each) => version(each)!),
            podNetwork: options.network,
            loadBalancer: options.loadBalancer,
          },
          reporter,
        );
        reporter.line(
          words`Sandbox ${state.name} is up (${((performance.now() - started) / 1000).toFixed(1)} s). Use it: eval "$(${command('sandbox env', 'NAMESPACE', ...nameOption(state.name))})"`,
        );
      },
    );
}

function addDown(sandbox: Command): void {
  add(sandbox, 'down', 'remove the sandbox and leave the box as it was')
    .option('--purge-cache', 'also remove the cache of binaries and images')
    .action(async (options: Named & { purgeCache?: boolean }) => {
      const { sandboxDown } = await import('../sandbox/down.ts');
      const reporter = terminalReporter(options);
      const done = await sandboxDown({ name: checkName(options.name), purgeCache: options.purgeCache }, reporter);
      if (!done) reporter.line(`Nothing to do: there is no sandbox "${options.name}".`);
    });
}

function addEnv(sandbox: Command): void {
  add(sandbox, 'env', "print a shell's variables for a namespace of the infra cluster")
    .option(
      '-n, --namespace <NAMESPACE>',
      'namespace, made when missing, with an administrator who has rights in it alone',
    )
    .option('--admin', "use the infra cluster's own administrator")
    .action(async (options: Named & { namespace?: string; admin?: boolean }) => {
      if (!options.namespace && !options.admin)
        throw new UserError({
          what: 'sandbox env needs --namespace NAME or --admin',
          anchor: 'bad-values',
          kind: 'usage',
          fix: 'eval "$(k8sk8s sandbox env --namespace demo)"',
        });
      const { sandboxEnvironment } = await import('../sandbox/delegate.ts');
      const { kubeconfig, path } = await sandboxEnvironment({
        name: checkName(options.name),
        namespace: options.namespace,
        admin: options.admin,
      });
      process.stdout.write(`export KUBECONFIG=${kubeconfig}\n${path ? `export PATH=${path}:$PATH\n` : ''}`);
    });
}

function addHost(sandbox: Command): void {
  add(sandbox, 'host', 'make a name resolve to the ingress controller on this box')
    .argument('<HOST>')
    .option('--address <IP>', 'another address, such as the ingress controller of another sandbox')
    .addOption(new Option('--remove', 'remove the name').conflicts('address'))
    .action(async (host: string, options: Named & { address?: string; remove?: boolean }) => {
      const { sandboxHost, takeHostBack } = await import('../sandbox/host.ts');
      if (options.remove) {
        const had = await takeHostBack(checkName(options.name), host);
        terminalReporter(options).line(
          had ? `${host} does not resolve on this box any more` : `Nothing to do: the sandbox has no name ${host}.`,
        );
        return;
      }
      const address = await sandboxHost(checkName(options.name), host, ipv4(options.address, '--address'));
      terminalReporter(options).line(`${host} resolves to ${address} on this box`);
    });
}

function addImage(sandbox: Command): void {
  const image = sandbox.command('image').description('your own images').helpOption('--help', 'show help');
  add(image, 'import', 'import an image on all infra nodes and workers, also on those that are made later')
    .argument('<FILE>', 'archive, as docker save, podman save or nerdctl save writes it')
    .action(async (file: string, options: Named) => {
      const { importImage } = await import('../sandbox/import-image.ts');
      const reporter = terminalReporter(options);
      for (const each of await importImage(checkName(options.name), file, reporter))
        reporter.line(
          `${each} is on all machines${each.endsWith(':latest') ? '; pods need imagePullPolicy: IfNotPresent for it' : ''}`,
        );
    });
  add(image, 'worker', 'make the image of worker pods, and give it to the infra nodes')
    .option('--kubernetes-version <VERSION>', "version of its kubelet; default: the sandbox's")
    .action(async (options: Named & { kubernetesVersion?: string }) => {
      const { sandboxWorkerImage } = await import('../sandbox/worker-pods.ts');
      const wanted = options.kubernetesVersion && resolveVersion(version(options.kubernetesVersion)!);
      const made = await sandboxWorkerImage(checkName(options.name), terminalReporter(options), wanted);
      process.stdout.write(`${made}\n`);
    });
}

function addJoin(sandbox: Command): void {
  add(sandbox, 'join', 'let idle worker machines join the plane of a namespace')
    .requiredOption('-n, --namespace <NAMESPACE>', 'namespace of the plane')
    .option('--dir <DIR>', 'folder with kubeconfig-kubelets, ca.pem and worker.sh', 'tls')
    .option('--workers <N>', 'how many', '2')
    .option('--leave', 'remove the workers from the plane')
    .action(
      async (
        options: Named & {
          namespace: string;
          dir: string;
          workers: string;
          leave?: boolean;
        },
      ) => {
        const { sandboxJoin, sandboxLeave } = await import('../sandbox/join.ts');
        const reporter = terminalReporter(options);
        const name = checkName(options.name);
        if (!options.leave)
          await sandboxJoin({ ...options, name, workers: count(options.workers, '--workers', 1) }, reporter);
        else if ((await sandboxLeave({ name, namespace: options.namespace }, reporter)).length === 0)
          reporter.line(`Nothing to do: no worker machine belongs to the plane in "${options.namespace}".`);
      },
    );
}

function addLoadBalancer(sandbox: Command): void {
  add(sandbox, 'load-balancer', 'give addresses of the sandbox to services of type LoadBalancer, and list them')
    .option('--stop', 'stop that, and take all of the addresses back')
    .action(async (options: Named & { stop?: boolean }) => {
      const { startLoadBalancer, stopLoadBalancer } = await import('../sandbox/load-balancer/switch.ts');
      const reporter = terminalReporter(options);
      const name = checkName(options.name);
      if (options.stop) {
        const had = await stopLoadBalancer(name, reporter);
        reporter.line(had ? 'The load balancer has ended' : 'Nothing to do: the sandbox has no load balancer.');
        return;
      }
      const { pool, given } = await startLoadBalancer(name, reporter);
      reporter.line(`Services of type LoadBalancer get addresses from ${pool[0]} to ${pool[1]}`);
      const rows = given.map(({ service, address, hostname }) => [service, address, hostname ?? '']);
      if (rows.length > 0) process.stdout.write(`${table(['SERVICE', 'ADDRESS', 'SHOWN AS'], rows)}\n`);
    });
}

function addStatus(sandbox: Command): void {
  add(sandbox, 'status', 'machines, versions, memory, addresses')
    .addOption(outputOption())
    .action(async (options: Named & { output: string }) => {
      const { sandboxStatus } = await import('../sandbox/status.ts');
      const status = await sandboxStatus(checkName(options.name));
      print(options, status, renderStatus);
    });
}

function renderStatus(status: SandboxStatus): string {
  const rows = status.machines.map((machine) => [
    machine.name,
    machine.address,
    machine.running ? 'running' : 'DEAD',
    daemons(machine.daemons),
    machine.claimedBy ?? (machine.role === 'worker' ? 'idle' : ''),
    `${machine.memoryMiB} MiB`,
  ]);
  const versions = Object.entries(status.versions).map(([name, value]) => `${name} ${value}`);
  return [
    `Sandbox:  ${status.name}`,
    `API:      ${status.apiServer}`,
    `Ingress:  ${status.ingress}${status.hosts.length > 0 ? ` (${status.hosts.join(', ')})` : ''}`,
    `Versions: ${versions.join(', ')}`,
    `Cache:    ${status.cacheMiB} MiB`,
    '',
    table(['MACHINE', 'ADDRESS', 'STATE', 'RUNS', 'PLANE', 'MEMORY'], rows),
  ].join('\n');
}

function add(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .helpOption('--help', 'show help')
    .option('--name <NAME>', 'name of the sandbox', defaultSandbox)
    .option('--quiet', 'only warnings and errors')
    .option('--verbose', 'say more about every step');
}

function daemons(all: Record<string, boolean>): string {
  return Object.entries(all)
    .map(([name, running]) => (running ? name : `${name} (DEAD)`))
    .join(', ');
}

function checkName(name: string): string {
  if (/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(name)) return name;
  throw new UserError({
    what: `--name "${name}" cannot be a sandbox's name`,
    why: 'it has at most 32 lower-case letters, digits and -',
    fix: 'choose another',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function count(text: string, option: string, least: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= 50) return value;
  throw new UserError({
    what: `${option} "${text}" has to be a number from ${least} to 50`,
    fix: 'correct it',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function ipv4(text: string | undefined, option: string): string | undefined {
  if (text === undefined || isIpv4(text)) return text;
  throw new UserError({
    what: `${option} "${text}" has to be an IPv4 address`,
    fix: 'k8sk8s sandbox status shows the one of a sandbox',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function version(text: string | undefined): string | undefined {
  return text?.replace(/^v/, '');
}
