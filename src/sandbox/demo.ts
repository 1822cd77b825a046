import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatDuration } from '../ui/reporter.ts';
import { waitFor } from '../ui/wait-for.ts';

// Runs the commands of the README as a person would, and prints each of them.

const namespace = 'demo';
const host = 'demo.k8sk8s.test';
const cli = path.join(path.dirname(fileURLToPath(import.meta.url)), 'cli.js');
const environment = { ...process.env };

/** Runs one command and shows it; what it prints goes to the terminal. Ends the demo with its exit code when it fails. */
function run(command: string[], options: { capture?: boolean } = {}): string {
  console.log(`\n$ ${command.join(' ')}`);
  const { out, status } = spawn(command, options.capture ?? false);
  if (status !== 0) {
    console.error(`\nThe demo stopped: the command above ended with exit code ${status}.`);
    process.exit(status);
  }
  return out;
}

function spawn(command: string[], capture: boolean, quiet = false): { out: string; status: number } {
  const [program, ...rest] = command[0] === 'k8sk8s' ? [process.execPath, cli, ...command.slice(1)] : command;
  const result = spawnSync(program!, rest, {
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', capture ? 'pipe' : 'inherit', quiet ? 'ignore' : 'inherit'],
  });
  if (result.error) throw result.error;
  return { out: result.stdout ?? '', status: result.status ?? 1 };
}

/** Takes over the `export NAME=value` lines that `sandbox env` prints for a shell's eval. */
function evaluate(exports: string): void {
  for (const [, name, value] of exports.matchAll(/^export (\w+)=(.*)$/gm)) {
    environment[name!] = value!.replace(/^(['"])(.*)\1$/, '$2').replace(/\$PATH|\$\{PATH\}/g, environment.PATH ?? '');
    console.log(`export ${name}=${name === 'PATH' ? value : environment[name!]}`);
  }
}

async function up(): Promise<void> {
  const started = performance.now();
  run(['k8sk8s', 'sandbox', 'up']);
  evaluate(run(['k8sk8s', 'sandbox', 'env', '--namespace', namespace], { capture: true }));
  run(['k8sk8s', 'sandbox', 'host', host]);
  run(['k8sk8s', 'deploy', '-h', host, '-n', namespace]);
  run(['k8sk8s', 'sandbox', 'join', '-n', namespace]);
  await untilRunning();
  run(['kubectl', '--kubeconfig=tls/kubeconfig', 'get', 'nodes']);
  run(['kubectl', '--kubeconfig=tls/kubeconfig', 'get', 'pods', '-n', 'kube-system', '-o', 'wide']);
  console.log(`
A hosted cluster with two workers, in ${formatDuration(performance.now() - started)}. Look around:

  eval "$(node dist/cli.js sandbox env --namespace ${namespace})"     # a delegated administrator's kubeconfig
  node dist/cli.js status -n ${namespace}
  kubectl -n ${namespace} get all                               # the plane, seen from the infra cluster
  kubectl --kubeconfig=tls/kubeconfig get pods -A         # the hosted cluster

Take everything back:

  npm run demo -- --destroy`);
}

/** Waits for the state that the README shows: two Ready nodes, and all pods running. */
async function untilRunning(): Promise<void> {
  console.log('\nWaiting for two Ready nodes and Running pods …');
  const kubectl = (...rest: string[]) =>
    spawn(['kubectl', '--kubeconfig=tls/kubeconfig', ...rest], true, true).out.trim();
  let nodes: string[] = [];
  let pods: string[] = [];
  const ready = () => nodes.filter((line) => / Ready /.test(line)).length;
  const running = () => pods.filter((line) => / (\d+)\/\1 +Running /.test(line)).length;
  await waitFor({
    until: () => {
      nodes = kubectl('get', 'nodes', '--no-headers').split('\n').filter(Boolean);
      pods = kubectl('get', 'pods', '-A', '--no-headers').split('\n').filter(Boolean);
      return ready() >= 2 && pods.length >= 6 && running() === pods.length;
    },
    timeout: 180_000,
    every: 500,
    late: (after) => {
      console.error(
        `After ${after} ${ready()} nodes are Ready and ${running()} of ${pods.length} pods Running:\n${[...nodes, ...pods].join('\n')}`,
      );
      process.exit(1);
    },
  });
}

function down(): void {
  const known = spawn(['k8sk8s', 'sandbox', 'env', '--namespace', namespace], true, true);
  if (known.status === 0) {
    evaluate(known.out);
    run(['k8sk8s', 'sandbox', 'join', '--leave', '-n', namespace]);
    run(['k8sk8s', 'destroy', '-n', namespace, '--yes']);
  }
  run(['k8sk8s', 'sandbox', 'down']);
}

if (process.argv.includes('--destroy')) down();
else await up();
