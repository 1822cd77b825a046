import { cacheRoot } from '../../base/cache-root.ts';
import { messageOf, UserError } from '../../base/errors.ts';
import { plain } from '../../base/words.ts';
import { formatDuration, type Phase, type Reporter } from '../../ui/reporter.ts';
import { type ImageName, versions } from '../versions.ts';
import { buildBinary, checkModules, findGo, type Go, prepareSources } from './build.ts';
import { binaryPath, ensureCacheRoot, lockFolder, present, sourcePath } from './cache.ts';
import { withCacheLock } from './cache-lock.ts';
import { unpackDebianFile } from './debian-file.ts';
import { type ArtifactMode, artifactMode, downloadBinary, unreachable } from './download.ts';
import { binariesOf, buildImage, type ImageOptions, imageArchive, isTestImage, needsBox } from './images.ts';
import { unpackNpmFile } from './npm-file.ts';
import { ciliumPackages, ensurePackages, testImagePackages } from './packages.ts';
import { type BinaryName, binaries, binaryOf, type ComponentName, componentOf } from './recipes.ts';
import { releaseOf } from './releases.ts';

/**
 * `core`: what the sandbox's own cluster and a plane of the same version need. `plane`: what a plane of another version and its
 * workers need. `metrics-server`, `cert-manager`,
 * `konnectivity` and `logs` are optional, and so are `traefik-kinds`: the CustomResourceDefinitions that Traefik's own provider and its Gateway
 * provider read. The programs of the conformance suite are in no set: they are asked for by name.
 */
export type ArtifactSet =
  | 'core'
  | 'plane'
  | 'metrics-server'
  | 'cert-manager'
  | 'konnectivity'
  | 'logs'
  | 'traefik-kinds';

const kubernetesPrograms = [
  'kube-apiserver',
  'kubelet',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'kubectl',
] as const;

/** Components that are in no default set. */
const rarely: ComponentName[] = [
  'metrics-server',
  'cert-manager',
  'traefik-kinds',
  'gateway-api',
  'konnectivity',
  'victoria-logs',
  'cilium',
  'conformance',
  'crane',
  'sample-apiserver',
  'versitygw',
  'ignition',
  'history-checker',
  'debian',
];

export const binarySets = {
  // kubemark, a hollow node, is for one benchmark.
  core: (Object.keys(binaries) as BinaryName[]).filter(
    (name) => !rarely.includes(binaryOf(name).component) && name !== 'kubemark',
  ),
  plane: [...kubernetesPrograms],
  'metrics-server': ['metrics-server'],
  'cert-manager': (Object.keys(binaries) as BinaryName[]).filter((name) => binaryOf(name).component === 'cert-manager'),
  konnectivity: ['konnectivity-server', 'konnectivity-agent'],
  'traefik-kinds': (Object.keys(binaries) as BinaryName[]).filter((name) =>
    ['traefik-kinds', 'gateway-api'].includes(binaryOf(name).component),
  ),
  logs: ['victoria-logs'],
} satisfies Record<ArtifactSet, BinaryName[]>;

const planeImages = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy'] as const;

const imageSets = {
  core: [
    'pause',
    'busybox',
    'etcd',
    ...planeImages,
    'coredns',
    'flannel',
    'flannel-cni-plugin',
    'traefik',
    'local-path-provisioner',
    'node',
  ],
  plane: [...planeImages],
  'metrics-server': ['metrics-server'],
  'cert-manager': ['cert-manager-controller', 'cert-manager-webhook', 'cert-manager-cainjector'],
  konnectivity: ['konnectivity-server', 'konnectivity-agent'],
  'traefik-kinds': [],
  logs: ['victoria-logs'],
} satisfies Record<ArtifactSet, ImageName[]>;

export interface ArtifactOptions extends ImageOptions {
  /** `1.37.2`; the newest known by default. */
  kubernetesVersion?: string;
  /** The cache folder; cacheRoot() by default. */
  root?: string;
  /** How missing programs are made; artifactMode() by default. */
  mode?: ArtifactMode;
  /** Path of go; looked for on PATH by default. */
  goProgram?: string;
  /** Sources that are not in src: main.go of the history checker of `npm run faults`. */
  sources?: Partial<Record<ComponentName, string>>;
}

/**
 * Ensures that programs are in the cache: finds, downloads or builds each of them. Takes milliseconds when all are
 * there.
 *
 * @param what a set or the names themselves
 * @returns the path of each program
 * @throws UserError `no-go`, `go-too-old`, `no-go-modules`, `build-failed`, `download-failed`, `checksum-mismatch`,
 *   `cache-not-writable`
 */
export async function ensureBinaries<N extends BinaryName = BinaryName>(
  what: ArtifactSet | readonly N[],
  options: ArtifactOptions,
  reporter: Reporter,
): Promise<Record<N, string>> {
  const names = typeof what === 'string' ? (binarySets[what] as readonly BinaryName[]) : what;
  const places = new Map(names.map((name) => [name, placeOf(name, options)]));
  const missing = await filter(names, (name) => present(places.get(name)!.path).then((there) => !there));
  if (missing.length > 0) await obtain(missing, options, reporter);
  return Object.fromEntries(names.map((name) => [name, places.get(name)!.path])) as Record<N, string>;
}

/**
 * Ensures that images are in the cache as archives for `ctr images import`, with the programs that go into them.
 *
 * @param what a set or the names themselves
 * @returns the paths of the archives, in the order of `what`
 * @throws UserError what ensureBinaries and ensurePackages throw
 */
export async function ensureImages(
  what: ArtifactSet | readonly ImageName[],
  options: ArtifactOptions,
  reporter: Reporter,
): Promise<string[]> {
  const names: readonly ImageName[] = typeof what === 'string' ? imageSets[what] : what;
  const paths = await ensureBinaries([...new Set(names.flatMap(binariesOf))], options, reporter);
  const kubernetes = options.kubernetesVersion ?? versions.kubernetes;
  const root = options.root ?? cacheRoot();
  const find = (name: ImageName) => imageArchive(root, name, kubernetes, paths, options);
  const isThere = async (name: ImageName) => {
    const path = await find(name);
    return path !== undefined && (await present(path));
  };
  const missing = await filter(names, async (name) => !(await isThere(name)));
  const packages = [
    ...(missing.some(isTestImage) ? testImagePackages : []),
    ...(missing.includes('cilium') ? ciliumPackages : []),
  ];
  if (missing.some(needsBox)) await ensurePackages(reporter, packages);
  if (missing.length > 0) {
    await ensureCacheRoot(root);
    const make = async (phase: Phase) => {
      for (const [index, name] of missing.entries()) {
        phase.update(`${name} (${index + 1} of ${missing.length})`);
        await withCacheLock(lockFolder(root), `image-${name}`, waiting(phase), async () => {
          if (!(await isThere(name))) await buildImage(name, kubernetes, paths, (await find(name))!, options);
        });
      }
    };
    await reporter.during(`images: ${missing.length} to make`, make, `images made: ${missing.join(' ')}`);
  }
  return Promise.all(names.map(async (name) => (await find(name))!));
}

interface Place {
  component: ComponentName;
  version: string;
  path: string;
  folder: string;
  source: string;
}

function placeOf(name: BinaryName, options: ArtifactOptions): Place {
  const root = options.root ?? cacheRoot();
  const { component } = binaryOf(name);
  const source = options.sources?.[component] ?? '';
  const version = componentOf(component).version(options.kubernetesVersion ?? versions.kubernetes, source);
  return {
    component,
    version,
    path: binaryPath(root, component, version, name),
    folder: sourcePath(root, component, version),
    source,
  };
}

/** Whether a program comes from a package of Debian or npm. */
const isFetched = (name: BinaryName): boolean => ['debian-file', 'npm-file'].includes(binaryOf(name).by ?? '');

async function obtain(missing: readonly BinaryName[], options: ArtifactOptions, reporter: Reporter): Promise<void> {
  const root = options.root ?? cacheRoot();
  await ensureCacheRoot(root);
  const mode = options.mode ?? artifactMode();
  const downloads = await downloadable(missing, options, mode, reporter);
  const builds = missing.filter((name) => !downloads.has(name) && !isFetched(name));
  let go: Go | undefined;
  const needGo = async () => (go ??= await findGo(options.goProgram));
  if (builds.length > 0) {
    const { version } = await needGo();
    const seconds = builds.reduce((sum, name) => sum + binaryOf(name).seconds, 0);
    reporter.line(
      `building ${builds.length === 1 ? builds[0] : `${builds.length} programs`} with go ${version}: usually ${formatDuration(seconds * 1000)} on 2 processors from an empty Go cache; ${root} keeps the result, so this happens once`,
    );
  }
  for (const name of missing) {
    const place = placeOf(name, options);
    const { component, version, path, folder } = place;
    const usual = formatDuration(binaryOf(name).seconds * 1000);
    const download = downloads.has(name);
    await reporter.during(
      `${name} ${version}, ${download || isFetched(name) ? 'download' : `build (usually ${usual})`}`,
      (phase) =>
        withCacheLock(lockFolder(root), `${component}-${version}`, waiting(phase), async () => {
          if (await present(path)) return `${name} ${version}, made by another process`;
          if (download && (await tryDownload(name, version, path, mode, phase, reporter)))
            return `${name} ${version} downloaded, checksum verified`;
          if (binaryOf(name).by === 'debian-file') {
            await unpackDebianFile(binaryOf(name).package, folder, path, (text) => phase.update(text));
            return `${name} unpacked from its Debian package`;
          }
          if (binaryOf(name).by === 'npm-file') {
            await unpackNpmFile(binaryOf(name).package, version, folder, path, (text) => phase.update(text));
            return `${name} ${version} unpacked from its npm package`;
          }
          await build(await needGo(), name, place, phase);
          return `${name} ${version} built`;
        }),
      (how) => how,
    );
  }
}

/** Which of the missing programs are to be downloaded. Probes the network at most once. */
async function downloadable(
  missing: readonly BinaryName[],
  options: ArtifactOptions,
  mode: ArtifactMode,
  reporter: Reporter,
): Promise<Set<BinaryName>> {
  const published = missing.filter((name) => releaseOf(name, placeOf(name, options).version));
  if (mode === 'build' || published.length === 0) return new Set();
  const why = await probe();
  if (!why) return new Set(published);
  if (mode === 'download') {
    throw new UserError({
      what: 'official releases cannot be downloaded',
      why,
      fix: 'unset K8SK8S_ARTIFACTS to build from Go modules, or connect this box to the internet',
      anchor: 'download-failed',
    });
  }
  reporter.line(`official releases cannot be downloaded: ${why}; building from Go modules instead`);
  return new Set();
}

let probed: Promise<string | undefined> | undefined;

function probe(): Promise<string | undefined> {
  probed ??= unreachable();
  return probed;
}

/** In `auto`, a program whose release cannot be downloaded is built. A release with a wrong checksum ends the run. */
async function tryDownload(
  name: BinaryName,
  version: string,
  path: string,
  mode: ArtifactMode,
  phase: Phase,
  reporter: Reporter,
): Promise<boolean> {
  try {
    await downloadBinary(releaseOf(name, version)!, path, (bytes, total) => {
      phase.update(`${megabytes(bytes)}${total ? ` of ${megabytes(total)}` : ''}`);
    });
    return true;
  } catch (error) {
    if (mode === 'download' || !(error instanceof UserError) || error.anchor !== 'download-failed') throw error;
    reporter.debug(messageOf(error));
    phase.update(
      `its release cannot be downloaded (${plain(error.why ?? '')}); building it, usually ${formatDuration(binaryOf(name).seconds * 1000)}`,
    );
    return false;
  }
}

async function build(go: Go, name: BinaryName, place: Place, phase: Phase): Promise<void> {
  phase.update('looking for its Go modules');
  await checkModules(go, place.component, place.version, place.folder);
  await prepareSources(go, place);
  await buildBinary(go, name, place.version, place.folder, place.path, (text) => phase.update(text));
}

function waiting(phase: Phase) {
  return (holder: { pid: number; name: string }) =>
    phase.update(`waiting for process ${holder.pid}, which is making ${holder.name}`);
}

async function filter<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<T[]> {
  const kept = await Promise.all(items.map(test));
  return items.filter((_, index) => kept[index]);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
