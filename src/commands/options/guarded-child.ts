import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';

/** Milliseconds between two looks at whether whoever started this process is still there. */
const lookEvery = 2000;

/*
 * A second process holds the end of a pipe. When this one is gone without a word (kill -9), the pipe ends: then the guard ends the child
 * and removes the folder. It is a shell, because a second Node.js would take 40 MiB for nothing.
 */
const guardScript = `read -r word
[ "$word" = done ] && exit 0
kill -HUP "$1" 2>/dev/null
i=0
while [ $i -lt 20 ] && kill -0 "$1" 2>/dev/null; do sleep 0.1; i=$((i+1)); done
kill -KILL "$1" 2>/dev/null
rm -rf -- "$2"`;

/**
 * Runs a program in the foreground until it ends, with all that it was told by a terminal. It ends with whoever started this process, and
 * so does the guard that sees to `folder`.
 *
 * @param folder is removed by the guard where this process is killed; else it is the caller's to remove
 * @returns its exit code, 128 and the number for a signal
 */
export async function runGuarded(
  command: [string, ...string[]],
  options: { env: NodeJS.ProcessEnv; folder: string },
): Promise<number> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: 'inherit', env: options.env });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
  const guard = startGuard(child, options.folder);
  const stop = passSignals(child);
  try {
    return await ended;
  } finally {
    stop();
    guard?.stdin?.end('done\n');
  }
}

function startGuard(child: ChildProcess, folder: string): ChildProcess | undefined {
  if (child.pid === undefined) return undefined;
  const guard = spawn('sh', ['-c', guardScript, 'k8sk8s-guard', String(child.pid), folder], {
    // Ctrl-C and a closed terminal are not for it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.on('error', () => undefined);
  guard.stdin?.on('error', () => undefined);
  guard.unref();
  return guard;
}

/** @returns stops it */
function passSignals(child: ChildProcess): () => void {
  const passed = (['SIGTERM', 'SIGHUP'] as const).map((name) => {
    const pass = () => child.kill(name);
    process.on(name, pass);
    return () => process.off(name, pass);
  });
  // The terminal tells all programs in the foreground at once.
  const interrupt = () => {
    if (!process.stdin.isTTY) child.kill('SIGINT');
  };
  process.on('SIGINT', interrupt);
  const parent = process.ppid;
  const look = setInterval(() => {
    if (process.ppid !== parent) child.kill('SIGHUP');
  }, lookEvery);
  return () => {
    for (const off of passed) off();
    process.off('SIGINT', interrupt);
    clearInterval(look);
  };
}
