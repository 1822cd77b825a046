// How sources become programs: for build.mjs, for the tests (vitest.config.ts), and for a program that takes the core in
// (docs/adr/0035-the-core-in-another-program.md).
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';

/**
 * Options of every program that k8sk8s makes.
 *
 * @type {import('esbuild').BuildOptions}
 */
export const common = {
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  minifySyntax: true,
  logLevel: 'warning',
  // Bundled CommonJS dependencies call require() for node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
};

/** Keys for S3 are given by name; the ways by which AWS's client would look for some itself are 90 kB of each program. */
const withoutKeyFinders = {
  name: 'without-key-finders',
  setup(build) {
    build.onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, ({ path }) => ({
      path,
      namespace: 'no-key-finders',
    }));
    build.onLoad({ filter: /.*/, namespace: 'no-key-finders' }, () => ({
      contents: 'export const defaultProvider = undefined;',
    }));
  },
};

const program = '?program';
const programs = new Map();

/**
 * The text of a program that runs in a pod, whole in one file: it comes to its pod in a Secret or a ConfigMap, which takes
 * 1 MiB.
 */
function programText(entry) {
  if (!programs.has(entry)) programs.set(entry, bundleProgram(entry));
  return programs.get(entry);
}

async function bundleProgram(entry) {
  const { outputFiles } = await build({
    ...common,
    minify: true,
    entryPoints: [entry],
    plugins: [withoutKeyFinders],
    write: false,
    // Faster masking for ws, in C; it does without.
    external: ['bufferutil', 'utf-8-validate'],
  });
  return outputFiles[0].text;
}

const chart = '?chart';

/** Where `npm run charts` leaves what helm makes of a file of values: it is made anew for other values. */
export async function renderedChart(values) {
  const cache =
    process.env.K8SK8S_CACHE ?? path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'k8sk8s');
  const hash = createHash('sha256')
    .update(await readFile(values))
    .digest('hex')
    .slice(0, 12);
  return path.join(cache, 'charts', `${path.basename(values, '.values.yaml')}-${hash}.yaml`);
}

/** Empty where nobody has made it: a build needs no helm. */
async function chartText(values) {
  return readFile(await renderedChart(values), 'utf8').catch(() => '');
}

/** Takes imports of templates (`*.yaml`, `*.sh`) and of programs for pods (`main.ts?program`) for what they are: text. */
const texts = {
  name: 'texts',
  setup(build) {
    build.initialOptions.loader = { '.yaml': 'text', '.sh': 'text', ...build.initialOptions.loader };
    build.onResolve({ filter: /\?program$/ }, ({ path: file, resolveDir }) => ({
      path: path.resolve(resolveDir, file.slice(0, -program.length)),
      namespace: 'program',
    }));
    build.onResolve({ filter: /\?chart$/ }, ({ path: file, resolveDir }) => ({
      path: path.resolve(resolveDir, file.slice(0, -chart.length)),
      namespace: 'chart',
    }));
    build.onLoad({ filter: /.*/, namespace: 'chart' }, async ({ path: file }) => ({
      contents: await chartText(file),
      loader: 'text',
    }));
    build.onLoad({ filter: /.*/, namespace: 'program' }, async ({ path: file }) => ({
      contents: await programText(file),
      loader: 'text',
    }));
  },
};

/** What esbuild needs to bundle files of src. */
export const plugins = [withoutKeyFinders, texts];

/** The same texts for tests, which are not bundled. @param textOf the text of a program, by the path of its entry */
export const textsForVitest = (textOf = programText) => ({
  name: 'texts',
  async load(id) {
    if (id.endsWith(program)) return module(await textOf(id.slice(0, -program.length)));
    if (id.endsWith(chart)) return module(await chartText(id.slice(0, -chart.length)));
    if (/\.(yaml|sh)$/.test(id)) return module(await readFile(id, 'utf8'));
  },
});

const module = (text) => `export default ${JSON.stringify(text)};`;
