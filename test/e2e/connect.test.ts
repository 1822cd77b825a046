import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runsAllOf } from '../test-all.ts';
import { eventually, kubectl, Namespace, run, succeeded } from './world.ts';

// k8sk8s connect to a plane that has no name and nothing that leads to it. Runs with `npm run test:all`.

let home: Namespace;
const folders = () => readdirSync(home.cwd).filter((name) => name.startsWith('k8sk8s-connect-'));
const ready = [kubectl, 'get', '--raw', '/readyz'];

/** `k8sk8s connect` in the background, with its temporary folders in the namespace's own. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [path.resolve('dist/cli.js'), 'connect', '-n', home.name, ...args], {
    env: { ...process.env, ...home.env, XDG_RUNTIME_DIR: home.cwd },
    cwd: home.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, ended, said: () => said };
}

/** Processes whose command line begins with the text. */
async function running(text: string): Promise<string[]> {
  const { stdout } = await run('ps', ['-eo', 'args']);
  return stdout.split('\n').filter((line) => line.startsWith(text));
}

/** The guards of these tests' runs. */
async function guards(): Promise<string[]> {
  const { stdout } = await run('ps', ['-eo', 'args']);
  return stdout.split('\n').filter((line) => line.includes(`k8sk8s-guard ${home.cwd}`));
}

/** A process ends a moment after the one that it was started by. */
async function nothingLeft(command: string): Promise<void> {
  expect(folders()).toEqual([]);
  expect(await running(command)).toEqual([]);
  expect(await guards()).toEqual([]);
}

describe.runIf(runsAllOf('e2e/connect'))('connect', () => {
  beforeAll(async () => {
    home = await Namespace.open('connecting');
    succeeded(await home.k8sk8s('deploy', '--expose', 'cluster', '--profile', 'lite'));
  });

  afterAll(() => home.k8sk8s('destroy', '--yes'));

  test('a command, with its own exit code, and two at once', async () => {
    const both = await Promise.all([home.k8sk8s('connect', '--', ...ready), home.k8sk8s('connect', '--', ...ready)]);
    expect(both.map((each) => succeeded(each).stdout)).toEqual(['ok', 'ok']);
    expect((await home.k8sk8s('connect', '--', 'sh', '-c', 'exit 7')).code).toBe(7);
  });

  test('the certificate is verified by the name of the plane, not by the address that is dialled', async () => {
    const { stdout } = succeeded(await home.k8sk8s('connect', '--', 'sh', '-c', 'cat "$KUBECONFIG"'));
    expect(stdout).toContain(`tls-server-name: apiserver.${home.name}.svc`);
    expect(stdout).not.toContain('insecure-skip-tls-verify');
  });

  test('a watch goes on with another API server after the first one has gone', async () => {
    const { child, said, ended } = start('--', 'sh', '-c', `while sleep 1; do ${ready.join(' ')} && echo; done`);
    await eventually(60, async () => expect(said()).toContain('ok'));
    succeeded(await home.infra('delete', 'pod', '-l', 'app.kubernetes.io/name=kube-apiserver', '--wait=true'));
    const before = said().length;
    await eventually(90, async () => expect(said().slice(before)).toContain('ok'));
    child.kill('SIGTERM');
    await ended;
    expect(folders()).toEqual([]);
  });

  test.each(['SIGINT', 'SIGHUP', 'SIGTERM'] as const)('%s leaves nothing behind', async (signal) => {
    const { child, ended } = start('--', 'sleep', '7331');
    await eventually(60, async () => expect(await running('sleep 7331')).not.toEqual([]));
    child.kill(signal);
    await ended;
    await eventually(15, () => nothingLeft('sleep 7331'));
  });

  test('kill -9 leaves nothing behind: neither the command, nor its credential, nor the guard', async () => {
    const { child, ended } = start('--', 'sleep', '7332');
    await eventually(60, async () => expect(await running('sleep 7332')).not.toEqual([]));
    expect(folders()).toHaveLength(1);
    child.kill('SIGKILL');
    await ended;
    await eventually(15, () => nothingLeft('sleep 7332'));
  });

  test('kill -9 of whoever started it ends it too', async () => {
    const line = `${process.execPath} ${path.resolve('dist/cli.js')} connect -n ${home.name} -- sleep 7333 & wait`;
    const parent = spawn('sh', ['-c', line], {
      env: { ...process.env, ...home.env, XDG_RUNTIME_DIR: home.cwd },
      cwd: home.cwd,
      stdio: 'ignore',
    });
    await eventually(60, async () => expect(await running('sleep 7333')).not.toEqual([]));
    parent.kill('SIGKILL');
    await eventually(20, async () => {
      expect(await running('sleep 7333')).toEqual([]);
      expect(folders()).toEqual([]);
    });
  });

  /** A shell of `k8sk8s connect` in a terminal: `script` is one. Its process is what a person closes. */
  function shell() {
    const line = `${process.execPath} ${path.resolve('dist/cli.js')} connect -n ${home.name}`;
    const terminal = spawn('script', ['-qefc', line, '/dev/null'], {
      env: { ...process.env, ...home.env, XDG_RUNTIME_DIR: home.cwd, SHELL: '/bin/sh' },
      cwd: home.cwd,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    terminal.stdout.on('data', (chunk) => {
      said += chunk;
    });
    const ended = new Promise<number | null>((resolve) => terminal.once('exit', resolve));
    return { terminal, ended, said: () => said, type: (text: string) => terminal.stdin.write(text) };
  }

  test('in a terminal it is a shell: Ctrl-C ends what runs in it and not the shell, whose exit code is its own', async () => {
    const { said, type, ended } = shell();
    await eventually(60, async () => expect(said()).toContain('exit leaves it'));
    // The terminal shows what is typed, so the answer is one that was not typed.
    type(`${ready.join(' ')} && echo " code=$((40 + 2))"\r`);
    await eventually(60, async () => expect(said()).toContain('ok code=42'));
    type('sleep 7334\r');
    await eventually(30, async () => expect(await running('sleep 7334')).not.toEqual([]));
    type('\x03');
    await eventually(10, async () => expect(await running('sleep 7334')).toEqual([]));
    type(`${ready.join(' ')} && echo " again=$((50 + 5))"\r`);
    await eventually(60, async () => expect(said()).toContain('ok again=55'));
    type('exit 7\r');
    expect(await ended).toBe(7);
    await eventually(15, () => nothingLeft('sleep 7334'));
  });

  test('a terminal that is closed takes the shell, what runs in it and its credential along', async () => {
    const { terminal, said, type } = shell();
    await eventually(60, async () => expect(said()).toContain('exit leaves it'));
    type('sleep 7335\r');
    await eventually(30, async () => expect(await running('sleep 7335')).not.toEqual([]));
    expect(folders()).toHaveLength(1);
    terminal.kill('SIGKILL');
    await eventually(20, () => nothingLeft('sleep 7335'));
  });

  test('a context is there as long as the way is open', async () => {
    const file = path.join(home.cwd, 'merged');
    const { child, said, ended } = start('--merge', file);
    const [, context] = await eventually(60, async () => {
      const found = /--context (\S+)/.exec(said());
      expect(found).not.toBeNull();
      return found!;
    });
    const line = ['--kubeconfig', file, '--context', context!, 'get', '--raw', '/readyz'];
    expect(succeeded(await run(kubectl, line)).stdout).toBe('ok');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(existsSync(file) && readFileSync(file, 'utf8')).not.toContain(context!);
  });
});
