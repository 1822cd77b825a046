import { type ExecOptions, type ExecResult, execProtocol, runOverWebSocket } from './exec.ts';
import { pathOf, resourceOf } from './resources.ts';
import type { Transport } from './transport.ts';

/**
 * Runs a command in a container of a pod, without a shell.
 *
 * @returns its exit code and output, also when it failed
 * @throws ApiError when the pod is not there or may not be entered, ExecError when the command was not carried out
 */
export async function execInPod(
  transport: Transport,
  { name, namespace }: { name: string; namespace: string },
  command: string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const query = new URLSearchParams(command.map((word): [string, string] => ['command', word]));
  query.set('stdout', 'true');
  query.set('stderr', 'true');
  if (options.stdin) query.set('stdin', 'true');
  if (options.container !== undefined) query.set('container', options.container);
  const path = `${pathOf(resourceOf({ apiVersion: 'v1', kind: 'Pod' }), namespace, name)}/exec`;
  return runOverWebSocket(await transport.webSocket(path, query, execProtocol, options.signal), options);
}
