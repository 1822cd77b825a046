import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

interface Line {
  /** Milliseconds since the command was started. */
  at: number;
  text: string;
}

export interface Finished {
  /** Wall clock, milliseconds since 1970, when the command was started. */
  started: number;
  /** Standard error of the command. */
  lines: Line[];
  stdout: string;
  milliseconds: number;
}

/** Path of the command line program; it follows from the path of this file. */
export const cli = path.join(path.dirname(process.argv[1]!), 'cli.js');

/**
 * Runs `k8sk8s …` as a person would, with the time of each line of its output.
 *
 * @throws Error with the whole output when the command fails
 */
export function k8sk8s(args: string[], options: { env: NodeJS.ProcessEnv; cwd: string }): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const lines: Line[] = [];
    const started = Date.now();
    const from = performance.now();
    const child = spawn(process.execPath, [cli, ...args], {
      ...options,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    createInterface({ input: child.stderr }).on('line', (text) => lines.push({ at: performance.now() - from, text }));
    let milliseconds = 0;
    child.once('error', reject);
    child.once('exit', () => {
      milliseconds = performance.now() - from;
    });
    child.once('close', (code) => {
      if (code === 0) resolve({ started, lines, stdout, milliseconds });
      else
        reject(new Error(`k8sk8s ${args.join(' ')} ended with ${code}:\n${lines.map(({ text }) => text).join('\n')}`));
    });
  });
}
