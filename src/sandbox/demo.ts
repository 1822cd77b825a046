import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { otherImages } from '../config/versions.ts';
import { formatDuration } from '../ui/reporter.ts';
import { waitFor } from '../ui/wait-for.ts';

// Runs the commands of the README as a person would, and prints each of them.

const { values: options } = parseArgs({
  options: {
    destroy: { type: 'boolean' },
    /** Workers are machines of the sandbox instead of pods. */
    machines: { type: 'boolean' },
    /** A sandbox that is up, which stays as it is. */
    sandbox: { type: 'string' },
    namespace: { type: 'string', default: 'demo' },
  },
});
const { namespace } = options;
const host = `${namespace}.k8sk8s.test`;
const named = options.sandbox === undefined ? [] : ['--name', options.sandbox];
const kubectl = ['kubectl', '--kubeconfig=tls/kubeconfig'];
const cli = path.join(path.dirname(fileURLToPath(import.meta.url)), 'cli.js');
const environment = { ...process.env };

/** Runs one command and shows it; what it prints goes to the terminal. Ends the demo with its exit code when it fails. */
function run(command: string[], options: { capture?: boolean } = {}): string {
  console.log(`\n$ ${command.map((word) => (/[ ()]/.test(word) ? `"${word}"` : word)).join(' ')}`);
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
  if (options.sandbox === undefined) run(['k8sk8s', 'sandbox', 'up']);
  if (!options.machines) allowPrivilegedPods();
  evaluate(run(['k8sk8s', 'sandbox', 'env', '--namespace', namespace, ...named], { capture: true }));
  run(['k8sk8s', 'sandbox', 'host', host, ...named]);
  if (options.machines) {
    run(['k8sk8s', 'deploy', '-h', host, '-n', namespace]);
    run(['k8sk8s', 'sandbox', 'join', '-n', namespace, ...named]);
  } else {
    const image = run(['k8sk8s', 'sandbox', 'image', 'worker', ...named], { capture: true }).trim();
    run(['k8sk8s', 'deploy', '-h', host, '--worker-pods', '2', '--worker-image', image, '-n', namespace]);
  }
  await untilRunning();
  run([...kubectl, 'get', 'nodes']);
  run([...kubectl, 'get', 'pods', '-n', 'kube-system', '-o', 'wide']);
  await serve();
  console.log(`
A hosted cluster with two workers, in ${formatDuration(performance.now() - started)}. Look around:

  eval "$(node dist/cli.js sandbox env --namespace ${namespace})"     # a delegated administrator's kubeconfig
  node dist/cli.js status -n ${namespace}
  kubectl -n ${namespace} get all                               # the plane, seen from the infra cluster
  kubectl --kubeconfig=tls/kubeconfig get pods -A         # the hosted cluster

Take everything back:

  npm run demo -- --destroy`);
}

/** What an administrator of the infra cluster does once, in another shell: whoever has such a hosted cluster is root on infra nodes. */
function allowPrivilegedPods(): void {
  const before = { ...environment };
  run(['k8sk8s', 'sandbox', 'env', '--namespace', namespace, ...named], { capture: true });
  evaluate(run(['k8sk8s', 'sandbox', 'env', '--admin', ...named], { capture: true }));
  run(['kubectl', 'label', '--overwrite', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=privileged']);
  Object.assign(environment, before);
}

const answer =
  "require('node:http').createServer((_, answer) => answer.end('hello from ' + process.env.HOSTNAME)).listen(80)";

/** A Service of the hosted cluster answers, by way of its API server. */
async function serve(): Promise<void> {
  const replicas = ['--replicas', '2'];
  run([
    ...kubectl,
    'create',
    'deployment',
    'hello',
    '--image',
    otherImages.node,
    ...replicas,
    '--',
    'node',
    '-e',
    answer,
  ]);
  run([...kubectl, 'expose', 'deployment', 'hello', '--port', '80']);
  run([...kubectl, 'rollout', 'status', 'deployment/hello']);
  const asked = [...kubectl, 'get', '--raw', '/api/v1/namespaces/default/services/hello:80/proxy/'];
  // A pod is available before its program listens.
  await waitFor({
    until: () => spawn(asked, true, true).status === 0,
    timeout: 30_000,
    every: 500,
    late: (after) => new Error(`the Service does not answer after ${after}`),
  });
  run(asked);
  console.log();
}

/** Waits for the state that the README shows: two Ready nodes, and all pods running. */
async function untilRunning(): Promise<void> {
  console.log('\nWaiting for two Ready nodes and Running pods …');
  const ask = (...rest: string[]) => spawn([...kubectl, ...rest], true, true).out.trim();
  let nodes: string[] = [];
  let pods: string[] = [];
  const ready = () => nodes.filter((line) => / Ready /.test(line)).length;
  const running = () => pods.filter((line) => / (\d+)\/\1 +Running /.test(line)).length;
  await waitFor({
    until: () => {
      nodes = ask('get', 'nodes', '--no-headers').split('\n').filter(Boolean);
      pods = ask('get', 'pods', '-A', '--no-headers').split('\n').filter(Boolean);
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
  const known = spawn(['k8sk8s', 'sandbox', 'env', '--namespace', namespace, ...named], true, true);
  if (known.status === 0) {
    evaluate(known.out);
    run(['k8sk8s', 'sandbox', 'join', '--leave', '-n', namespace, ...named]);
    run(['k8sk8s', 'destroy', '-n', namespace, '--yes']);
  }
  if (options.sandbox === undefined) run(['k8sk8s', 'sandbox', 'down']);
}

if (options.destroy) down();
else await up();
