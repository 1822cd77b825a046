import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../base/errors.ts';
import { type ClusterEntry, type ContextEntry, decodeKubeconfig, type UserEntry } from './decode.ts';
import { kubeconfigError } from './problem.ts';
import type { Surroundings } from './surroundings.ts';

export interface KubeconfigChoice {
  /** Path given with --kubeconfig; else KUBECONFIG, else ~/.kube/config. */
  kubeconfig?: string;
  /** A kubeconfig itself, in place of files; relative paths in it are meant from the working directory. */
  text?: string;
  context?: string;
}

/** An entry, and the file that it comes from: relative paths in it are meant from there. */
export interface Origin<T> {
  file: string;
  entry: T;
}

/** Several kubeconfigs as one. */
export interface MergedKubeconfig {
  currentContext: string;
  clusters: Map<string, Origin<ClusterEntry>>;
  users: Map<string, Origin<UserEntry>>;
  contexts: Map<string, Origin<ContextEntry>>;
  /** The files that were read. */
  files: string[];
  /** For messages: where was looked, and why there. */
  looked: string;
}

/**
 * Reads and merges the chosen kubeconfigs, each file once, by client-go's rules: of entries with the same name, and of
 * current-context, the first file's counts; a file of KUBECONFIG that is missing is passed over.
 *
 * @throws UserError `infra-kubeconfig`
 */
export function loadKubeconfigs(choice: KubeconfigChoice, surroundings: Surroundings): MergedKubeconfig {
  const { files, origin, explicit } = choice.text !== undefined ? handedIn : filesOf(choice, surroundings);
  const merged: MergedKubeconfig = {
    currentContext: '',
    clusters: new Map(),
    users: new Map(),
    contexts: new Map(),
    files: [],
    looked: `${files.join(', ') || 'no file'} (${origin})`,
  };
  for (const file of files) {
    const text = choice.text ?? read(file, origin, explicit);
    if (text === undefined) continue;
    merged.files.push(file);
    mergeInto(merged, file, text, origin);
  }
  return merged;
}

/** What stands for a text that is no file. */
const handedIn = { files: ['kubeconfig'], origin: 'handed in', explicit: true };

/** Nothing of a kubeconfig is there: no entry, and no current context. */
export function isEmpty({ currentContext, clusters, users, contexts }: MergedKubeconfig): boolean {
  return currentContext === '' && clusters.size === 0 && users.size === 0 && contexts.size === 0;
}

function mergeInto(merged: MergedKubeconfig, file: string, text: string, origin: string): void {
  try {
    const next = decodeKubeconfig(text);
    merged.currentContext ||= next.currentContext;
    for (const key of ['clusters', 'users', 'contexts'] as const)
      for (const [name, entry] of next[key])
        if (!merged[key].has(name)) merged[key].set(name, { file, entry } as never);
  } catch (error) {
    throw kubeconfigError({
      what: `cannot use the kubeconfig ${file} (${origin})`,
      why: `it is not a kubeconfig: ${messageOf(error)}`,
      cause: error,
    });
  }
}

function filesOf(
  { kubeconfig }: KubeconfigChoice,
  { env, home }: Surroundings,
): { files: string[]; origin: string; explicit: boolean } {
  if (kubeconfig) return { files: [kubeconfig], origin: '--kubeconfig', explicit: true };
  if (env.KUBECONFIG) {
    const files = [...new Set(env.KUBECONFIG.split(path.delimiter).filter(Boolean))];
    return { files, origin: 'KUBECONFIG', explicit: false };
  }
  const usual = path.join(home, '.kube', 'config');
  // Its name of long ago, which kubectl copies to the present one.
  const old = path.join(home, '.kube', '.kubeconfig');
  return { files: [!existsSync(usual) && existsSync(old) ? old : usual], origin: 'the default', explicit: false };
}

/** @returns undefined for a file that may be missing, and is */
function read(file: string, origin: string, explicit: boolean): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !explicit) return undefined;
    const named = `the kubeconfig ${file} (${origin})`;
    const known: Record<string, string> = {
      ENOENT: `there is no kubeconfig at ${file} (${origin})`,
      EISDIR: `${named} is a directory`,
      EACCES: `you may not read ${named}`,
      ERR_ENCODING_INVALID_ENCODED_DATA: `cannot use ${named}: it is not text in UTF-8`,
    };
    const what = known[code ?? ''];
    throw kubeconfigError({
      what: what ?? `cannot read ${named}`,
      why: what === undefined ? messageOf(error) : undefined,
      cause: error,
    });
  }
}
