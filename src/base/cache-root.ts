import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** `$K8SK8S_CACHE`, else `$XDG_CACHE_HOME/k8sk8s`, else `~/.cache/k8sk8s` (XDG Base Directory Specification). */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env.K8SK8S_CACHE) return resolve(env.K8SK8S_CACHE);
  // The specification has relative paths ignored.
  const base = env.XDG_CACHE_HOME?.startsWith('/') ? env.XDG_CACHE_HOME : join(homedir(), '.cache');
  return join(base, 'k8sk8s');
}
