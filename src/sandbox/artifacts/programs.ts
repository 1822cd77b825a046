import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';

/** Folders of system programs that an ordinary user's PATH may lack. */
const systemFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The path of a program on PATH, in a system folder or in one `more`, if there is one. */
export async function findProgram(name: string, more: string[] = []): Promise<string | undefined> {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...systemFolders, ...more]) {
    const path = join(folder, name);
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}

export interface ProgramResult {
  /** null when a signal or the time limit ended it. */
  code: number | null;
  stdout: string;
  /** The last lines of stderr. */
  errors: string[];
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Milliseconds, after which the program is killed. */
  limit?: number;
  /** Gets each line of stderr as it comes. */
  onLine?: (line: string) => void;
}

const keptLines = 40;

/** Runs a program to its end. Never throws for its exit code; rejects when it cannot be started. */
export function run(program: string, args: string[], options: RunOptions = {}): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.limit,
    });
    const out: Buffer[] = [];
    const errors: string[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    createInterface({ input: child.stderr }).on('line', (line) => {
      errors.push(line);
      if (errors.length > keptLines) errors.shift();
      options.onLine?.(line);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout: Buffer.concat(out).toString('utf8'), errors }));
  });
}

/** The last of what a program that failed said of its errors. */
export function lastErrors({ errors, code }: ProgramResult): string {
  return errors.slice(-3).join('\n') || `it ended with code ${code}`;
}
