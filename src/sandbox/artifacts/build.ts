import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import { minimumGo } from '../versions.ts';
import { architecture, writeAtomically } from './cache.ts';
import { goModText, kubernetesGoMod } from './gomod.ts';
import { findProgram, type ProgramResult, run } from './programs.ts';
import { type Binary, type BinaryName, binaryOf, type ComponentName, componentOf } from './recipes.ts';

export interface Go {
  program: string;
  version: string;
}

/**
 * The box's go.
 *
 * @param program path of go; looked for on PATH when absent
 * @throws UserError `no-go`, `go-too-old`
 */
export async function findGo(program?: string): Promise<Go> {
  const path = program ?? (await findProgram('go', ['/usr/local/go/bin']));
  const install = words`install Go ${minimumGo} or newer (https://go.dev/doc/install) so that "go version" works, then ${again}`;
  if (!path) {
    throw new UserError({
      what: 'the sandbox has programs to build and this box has no go',
      why: 'there is no program "go" on PATH, and not every program can be downloaded',
      fix: install,
      anchor: 'no-go',
      kind: 'refused',
    });
  }
  const ran = await run(path, ['env', 'GOVERSION'], { env: goEnvironment() });
  const version = /^go(\d+\.\d+(?:\.\d+)?)/.exec(ran.stdout)?.[1];
  if (version && !isOlder(version, minimumGo)) return { program: path, version };
  throw new UserError({
    what: version ? `go ${version} is too old for what the sandbox builds` : `${path} is there but does not work`,
    why: version
      ? `Kubernetes and etcd need ${minimumGo}; go was found at ${path}`
      : (ran.errors.at(-1) ?? `it ended with code ${ran.code}`),
    fix: install,
    anchor: 'go-too-old',
    kind: 'refused',
  });
}

/** Whether version `a` comes before `b`, number by number. */
function isOlder(a: string, b: string): boolean {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let index = 0; index < 3; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** The person's environment (GOPROXY, GOCACHE and the like stay theirs) without what would change the result. */
function goEnvironment(cgo = false, target = architecture()): NodeJS.ProcessEnv {
  return {
    ...process.env,
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
    GOOS: 'linux',
    GOARCH: target,
    CGO_ENABLED: cgo ? '1' : '0',
  };
}

/**
 * Asks, within 20 s, whether go can get a component's module, from its module cache or from GOPROXY.
 *
 * @param folder where go runs
 * @throws UserError `no-go-modules`
 */
export async function checkModules(go: Go, name: ComponentName, version: string, folder: string): Promise<void> {
  const wanted = componentOf(name).module?.(version);
  if (!wanted) return;
  await mkdir(folder, { recursive: true });
  const ran = await run(go.program, ['list', '-mod=mod', '-m', wanted.join('@')], {
    cwd: folder,
    env: goEnvironment(),
    limit: 20_000,
  });
  if (ran.code !== 0) throw noModules(wanted, ran);
}

function noModules(wanted: [string, string], ran: ProgramResult): UserError {
  return new UserError({
    what: `go cannot get the module ${wanted.join('@')}`,
    why: errorLines(ran).slice(-3).join('\n') || 'no answer within 20 s',
    fix: 'see that "go env GOPROXY" names a module proxy that this box reaches, or copy the cache folder from a box that has built it',
    anchor: 'no-go-modules',
  });
}

/**
 * Writes a component's go.mod and small sources into its folder, unless they are there from an earlier run.
 *
 * @throws UserError `no-go-modules`
 */
export async function prepareSources(
  go: Go,
  {
    component: name,
    version,
    folder,
    source,
  }: { component: ComponentName; version: string; folder: string; source: string },
): Promise<void> {
  const component = componentOf(name);
  await mkdir(folder, { recursive: true });
  const written = goModText(component.goMod?.(version) ?? (await kubernetesModule(go, version, folder)));
  for (const [path, text] of Object.entries(component.files?.(source) ?? {})) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  // go adds what it resolved to go.mod; keeping that saves the next program of the component the same work.
  const seed = join(folder, 'go.mod.seed');
  if ((await readFile(seed, 'utf8').catch(() => '')) === written) return;
  await writeFile(join(folder, 'go.mod'), written);
  await writeFile(seed, written);
}

async function kubernetesModule(go: Go, version: string, folder: string) {
  const { GoMod } = await downloadModule(go, ['k8s.io/kubernetes', `v${version}`], folder);
  return kubernetesGoMod(version, await readFile(GoMod, 'utf8'), minimumGo);
}

/** Where go's module cache has a module: its go.mod and the folder of its files. */
async function downloadModule(
  go: Go,
  wanted: [string, string],
  folder: string,
): Promise<{ GoMod: string; Dir: string }> {
  const ran = await run(go.program, ['mod', 'download', '-json', wanted.join('@')], {
    cwd: folder,
    env: goEnvironment(),
  });
  const answer = (ran.stdout ? JSON.parse(ran.stdout) : {}) as { GoMod?: string; Dir?: string; Error?: string };
  if (ran.code !== 0 || !answer.GoMod || !answer.Dir)
    throw noModules(wanted, { ...ran, errors: [...ran.errors, answer.Error ?? ''].filter(Boolean) });
  return { GoMod: answer.GoMod, Dir: answer.Dir };
}

/**
 * Builds one program into the cache.
 *
 * @param folder the component's sources, see prepareSources
 * @param onProgress what go is at: a package it compiles or a module it fetches
 * @param of the architecture that it is for
 * @throws UserError `build-failed` with the last lines of the compiler
 */
export async function buildBinary(
  go: Go,
  name: BinaryName,
  version: string,
  folder: string,
  target: string,
  onProgress: (text: string) => void,
  of = architecture(),
): Promise<void> {
  const binary = binaryOf(name);
  if (binary.by?.startsWith('module-')) return copyFromModule(go, binary, version, folder, target);
  let compiled = 0;
  const onLine = (line: string) => {
    const module = /^go: downloading (\S+)/.exec(line)?.[1];
    if (module) onProgress(`fetching ${module}`);
    else if (isPackage(line)) onProgress(`${++compiled} packages compiled, now ${line}`);
  };
  await writeAtomically(target, async (temporary) => {
    // With `go test`, -v is a flag of the test.
    const verb = binary.by === 'go-test' ? ['test', '-c', '-vet=off'] : ['build', '-v'];
    const args = [...verb, '-mod=mod', '-buildvcs=false', '-p', String(parallel()), '-trimpath'];
    if (binary.tags) args.push('-tags', binary.tags);
    args.push('-ldflags', ['-s -w', ...(binary.ldflags?.(version) ?? [])].join(' '), '-o', temporary, binary.package);
    const ran = await run(go.program, args, { cwd: folder, env: goEnvironment(binary.cgo, of), onLine });
    if (ran.code === 0) return;
    throw new UserError({
      what: `building ${name} ${version} failed`,
      why: errorLines(ran).slice(-12).join('\n') || `go build ended with code ${ran.code}`,
      fix: binary.cgo
        ? `it needs a C compiler (Debian: apt-get install gcc libc6-dev), memory and disk; to look further: cd ${folder} && go ${args.join(' ')}`
        : `look for memory, disk and network first; the sources are in ${folder}`,
      anchor: 'build-failed',
    });
  });
}

/** Copies what the component's module has besides Go: a picture, a certificate, a folder of C. */
async function copyFromModule(go: Go, binary: Binary, version: string, folder: string, target: string): Promise<void> {
  const wanted = componentOf(binary.component).module!(version);
  const module = await downloadModule(go, wanted, folder);
  const source = join(module.Dir, binary.package);
  await writeAtomically(target, (temporary) =>
    binary.by === 'module-file' ? copyFile(source, temporary) : copyFolder(source, temporary),
  );
}

/** Files and folders of Go's module cache are read-only: a copy with the same modes could not be removed. */
async function copyFolder(source: string, target: string): Promise<void> {
  const ran = await run('cp', ['--recursive', '--no-preserve=mode', source, target]);
  if (ran.code !== 0) throw new Error(ran.errors.at(-1) ?? `copying ${source} ended with code ${ran.code}`);
}

/** How many compilers run at once: one for each processor, as long as each has about 2 GiB for Kubernetes' largest packages. */
function parallel(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2 ** 31)));
}

/** `go build -v` names each package that it compiles on a line of its own. */
function isPackage(line: string): boolean {
  return /^[A-Za-z0-9_][\w.~/+-]*$/.test(line);
}

function errorLines(ran: ProgramResult): string[] {
  return ran.errors.filter((line) => line.trim() !== '' && !line.startsWith('go: downloading ') && !isPackage(line));
}
