import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ensureBinaries } from '../src/sandbox/artifacts/ensure.ts';
import { terminalReporter } from '../src/ui/terminal.ts';

/**
 * What Ignition's own validator says of a configuration, one warning or error a line; nothing where it has nothing to say. It is built
 * once, in seconds. Its exit code is 0 for warnings, such as of a key that it does not know.
 */
export async function ignitionComplaints(config: string): Promise<string[]> {
  const { 'ignition-validate': validator } = await ensureBinaries(['ignition-validate'], {}, terminalReporter());
  const validating = promisify(execFile)(validator, ['-']);
  validating.child.stdin!.end(config);
  const { stdout, stderr } = await validating.catch((error: { stdout: string; stderr: string }) => error);
  return `${stdout}${stderr}`.split('\n').filter(Boolean);
}
