/** A module with the version to take, or a folder below the build's own for `path`. */
interface Replacement {
  module: string;
  with: string;
  /** With a leading `v`; absent when `with` is a folder. */
  version?: string;
}

export interface GoMod {
  /** Name of the module that is written; nobody imports it. */
  module: string;
  /** The `go` line: the language version. */
  go: string;
  /** Module paths and versions, with a leading `v`. */
  requires?: [module: string, version: string][];
  replaces?: Replacement[];
  /** Versions that must not be chosen. */
  excludes?: [module: string, version: string][];
}

/** The text of a go.mod (https://go.dev/ref/mod#go-mod-file). */
export function goModText(mod: GoMod): string {
  const lines = [`module ${mod.module}`, '', `go ${mod.go}`];
  if (mod.requires?.length)
    lines.push('', 'require (', ...mod.requires.map(([module, version]) => `\t${module} ${version}`), ')');
  if (mod.replaces?.length) {
    lines.push(
      '',
      'replace (',
      ...mod.replaces.map((entry) => `\t${entry.module} => ${[entry.with, entry.version].filter(Boolean).join(' ')}`),
      ')',
    );
  }
  if (mod.excludes?.length)
    lines.push('', 'exclude (', ...mod.excludes.map(([module, version]) => `\t${module} ${version}`), ')');
  return `${lines.join('\n')}\n`;
}

/**
 * The modules of Kubernetes' own repository (staging/src/k8s.io): its go.mod requires them at v0.0.0 and replaces
 * them by folders, which a module that requires k8s.io/kubernetes from outside does not inherit.
 */
export function stagingModules(kubernetesGoMod: string): string[] {
  const found = new Set<string>();
  for (const line of kubernetesGoMod.split('\n')) {
    const match = /^\s*(?:replace\s+)?(k8s\.io\/[a-z0-9-]+)\s+(?:=>\s|v0\.0\.0\s*(?:\/\/|$))/.exec(line);
    if (match?.[1]) found.add(match[1]);
  }
  return [...found].sort();
}

/** `1.26.0` of a go.mod's `go` line. */
function goLine(goMod: string): string | undefined {
  return /^go\s+(\S+)/m.exec(goMod)?.[1];
}

/**
 * A go.mod from which Kubernetes' programs build: staging modules are published as v0.MINOR.PATCH.
 *
 * @param version `1.37.2`
 * @param kubernetesGoMod text of k8s.io/kubernetes' go.mod at that version
 */
export function kubernetesGoMod(version: string, kubernetesGoMod: string, fallbackGo: string): GoMod {
  const staging = `v0.${version.split('.').slice(1).join('.')}`;
  return {
    module: 'sandbox.test/kubernetes',
    go: goLine(kubernetesGoMod) ?? fallbackGo,
    requires: [['k8s.io/kubernetes', `v${version}`]],
    replaces: stagingModules(kubernetesGoMod).map((module) => ({ module, with: module, version: staging })),
  };
}
