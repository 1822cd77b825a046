import { spawn } from 'node:child_process';
import type { InfraCredentials } from './credentials.ts';

/** kubectl as the infra cluster's administrator. `input` goes to its standard input. @throws Error with what it said */
export function adminKubectl(
  program: string,
  credentials: InfraCredentials,
  args: string[],
  input?: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['--kubeconfig', credentials.file('admin.kubeconfig'), ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let out = '';
    let said = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(out) : reject(new Error(`kubectl ${args.join(' ')}: ${said.trim()}`)),
    );
    // kubectl may end without having read it all (EPIPE): why is on its standard error.
    child.stdin.on('error', () => {}).end(input ?? '');
  });
}
