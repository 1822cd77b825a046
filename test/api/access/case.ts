import type { AccessWorld } from './world.ts';

/** What is seen: the exit code says whether somebody got in. */
type Outcome = 'in' | 'refused';

/** One set of kubeconfigs, and what has to come of it. */
export interface Case {
  name: string;
  /** By name; `config` is what KUBECONFIG names when `env` does not. DIR in a value is the folder that they stand in. */
  files: Record<string, string | Buffer>;
  env?: Record<string, string>;
  args?: string[];
  /** Both tools; `at a terminal` is in there, and refused without one. */
  expect?: Outcome | 'at a terminal';
  /** Where k8sk8s is meant to do better than kubectl: by what, and what comes of each. */
  better?: { why: string; kubectl: Outcome | 'either'; k8sk8s: Outcome };
  /** Of a refusal: what k8sk8s has to name. */
  says?: string[];
  /** The file `config` comes through a pipe, which can be read once: `--kubeconfig <(some command)`. */
  throughPipe?: boolean;
  /** Run in a pod's view of the file system, with `token` and so on as its service account. */
  inPod?: boolean;
}

interface Parts {
  cluster?: object;
  user?: object;
  context?: object;
  top?: object;
}

export const base64 = (text: string) => Buffer.from(text).toString('base64');

/** Kubeconfigs of a world, as JSON, which is YAML. */
export class Kubeconfigs {
  readonly #world: AccessWorld;

  constructor(world: AccessWorld) {
    this.#world = world;
  }

  get server(): string {
    return `https://127.0.0.1:${this.#world.port}`;
  }

  get ca(): object {
    return { 'certificate-authority-data': base64(this.#world.ca) };
  }

  /** Alice's, with one thing changed: a part takes the place of the usual one, `context` and `top` add to it. */
  of({ cluster, user, context, top }: Parts): string {
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'x',
      clusters: [{ name: 'c', cluster: cluster ?? { server: this.server, ...this.ca } }],
      users: [{ name: 'u', user: user ?? { token: 'alice-token' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'team', ...context } }],
      ...top,
    });
  }

  cluster(fields: object): string {
    return this.of({ cluster: { server: this.server, ...this.ca, ...fields } });
  }

  user(fields: object): string {
    return this.of({ user: fields });
  }

  /** A user whose plugin is the file `plugin` beside the kubeconfig. */
  plugin(fields: object = {}, cluster: object = {}): string {
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', interactiveMode: 'Never' };
    return this.of({
      user: { exec: { ...exec, ...fields } },
      cluster: { server: this.server, ...this.ca, ...cluster },
    });
  }
}

/** A shell script that is a credential plugin. */
export function pluginScript(before: string, status = '{"token":"alice-token"}', version = 'v1'): string {
  return `#!/bin/sh
${before}
cat <<END
{"apiVersion":"client.authentication.k8s.io/${version}","kind":"ExecCredential","status":${status}}
END
`;
}
