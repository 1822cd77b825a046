import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';

/** Milliseconds between two looks at whether whoever started this process is still there. */
const lookEvery = 2000;

/*
 * A second process holds the end of a pipe. When this one is gone without a word (kill -9), the pipe ends: then the guard ends the child
 * and removes the folder. It is a shell, because a second Node.js would take 40 MiB for nothing.
 */
const guardScript = `pid=
while read -r word; do
  [ "$word" = done ] && exit 0
  pid=$word
done
if [ -n "$pid" ]; then
  kill -HUP "$pid" 2>/dev/null
  i=0
  while [ $i -lt 20 ] && kill -0 "$pid" 2>/dev/null; do sleep 0.1; i=$((i+1)); done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf -- "$1"`;

/** Sees to what this process would leave behind if it were killed. */
export interface Guard {
  /** The child is to end as well. */
  guards(child: ChildProcess): void;
  /** Nothing is left to be done. */
  dismiss(): void;
}

/** @param folder is removed where this process is killed; else it is the caller's to remove */
export function startGuard(folder: string): Guard {
  const guard = spawn('sh', ['-c', guardScript, 'k8sk8s-guard', folder], {
    // Ctrl-C and a closed terminal are not for it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.on('error', () => undefined);
  guard.stdin.on('error', () => undefined);
  guard.unref();
  return {
    guards({ pid }) {
      if (pid !== undefined) guard.stdin.write(`${pid}\n`);
    },
    dismiss: () => guard.stdin.end('done\n'),
  };
}

/**
 * Runs a program in the foreground until it ends, with all that it was told by a terminal. It ends with whoever started this process.
 *
 * @returns its exit code, 128 and the number for a signal
 */
export async function runGuarded(
  command: [string, ...string[]],
  { env, guard }: { env: NodeJS.ProcessEnv; guard: Guard },
): Promise<number> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: 'inherit', env });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
  guard.guards(child);
  const stop = passSignals(child);
  try {
    return await ended;
  } finally {
    stop();
  }
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
