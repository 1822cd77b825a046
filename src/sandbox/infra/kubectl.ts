import { spawn } from 'node:child_process';
import type { InfraCredentials } from './credentials.ts';

/** Runs kubectl as the infra cluster's administrator. `input` goes to kubectl's standard input. @throws Error with its standard error */
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
    // kubectl may exit before it has read all input (EPIPE); its standard error says why.
    child.stdin.on('error', () => {}).end(input ?? '');
  });
}
