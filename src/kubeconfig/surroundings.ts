import { homedir } from 'node:os';
import { isatty } from 'node:tty';

/**
 * What a kubeconfig means depends on where it is read. The command line hands its own in; a program that has k8sk8s inside
 * hands in what it wants to count.
 */
export interface Surroundings {
  env: Record<string, string | undefined>;
  /** The folder that holds .kube. */
  home: string;
  /** Whether somebody sits at standard input. */
  terminal: boolean;
  /** Takes a sentence about something that is waited for. */
  notice?: (sentence: string) => void;
  /** Folder of a pod's service account; the usual one by default. */
  serviceAccount?: string;
}

/** Those of this process. */
export function ownSurroundings(notice?: (sentence: string) => void): Surroundings {
  return { env: process.env, home: process.env.HOME || homedir(), terminal: isatty(0), notice };
}
