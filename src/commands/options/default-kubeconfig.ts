import { homedir } from 'node:os';
import path from 'node:path';

/** The file into which kubectl itself would write: the first of KUBECONFIG, or ~/.kube/config. */
export function defaultKubeconfig(): string {
  return (process.env.KUBECONFIG ?? '').split(path.delimiter).find(Boolean) ?? path.join(homedir(), '.kube', 'config');
}
