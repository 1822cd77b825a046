import manifest from '../../package.json' with { type: 'json' };

/** The version of k8sk8s itself, from package.json. */
export function toolVersion(): string {
  return manifest.version;
}
