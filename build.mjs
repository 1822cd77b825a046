// Bundles the CLI into dist/: one small entry and one lazily loaded chunk for each command, so that
// `k8sk8s --help` does not read what only `deploy` needs.
import { chmod, rm } from 'node:fs/promises';
import { build } from 'esbuild';

const common = {
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

/**
 * Of the client library only its kubeconfig is used (docs/adr/0006-own-transport.md). Its typed clients, 730 files that
 * the kubeconfig's module imports for a method nobody calls, would be read at every start.
 */
const withoutTypedClients = {
  name: 'without-typed-clients',
  setup(build) {
    build.onResolve({ filter: /^\.\/gen\/index\.js$/ }, ({ importer }) =>
      /client-node\/dist\/config\.js$/.test(importer) ? { path: 'gen', namespace: 'no-typed-clients' } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'no-typed-clients' }, () => ({
      contents: 'export const createConfiguration = undefined, ServerConfiguration = undefined;',
    }));
  },
};

/**
 * Of node-fetch only its Headers are used there, which Node.js has; its own way to read a URL would bring 300 kB along.
 * Node.js reads its own when they are named for the first time, which no command does.
 */
const ownHeaders = {
  name: 'own-headers',
  setup(build) {
    build.onResolve({ filter: /^node-fetch$/ }, () => ({ path: 'headers', namespace: 'own-headers' }));
    build.onLoad({ filter: /.*/, namespace: 'own-headers' }, () => ({
      contents: 'export function Headers(init) { return new globalThis.Headers(init); }',
    }));
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

await rm('dist', { recursive: true, force: true });
await build({
  ...common,
  entryPoints: {
    cli: 'src/cli.ts',
    demo: 'src/sandbox/demo.ts',
    bench: 'test/bench/main.ts',
    conformance: 'test/conformance/main.ts',
    faults: 'test/faults/main.ts',
  },
  outdir: 'dist',
  plugins: [withoutTypedClients, ownHeaders, withoutKeyFinders],
  // There is less to read at each start. Names stay, for traces.
  minifyWhitespace: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
});
// Programs that run in a pod: one self-contained file each. The kubelet-serving approver comes to the hosted cluster in a
// ConfigMap, the egress proxy to the API server's pod in a Secret, beside its certificate, the backup's two to its CronJob in a ConfigMap,
// which takes 1 MiB.
for (const [program, entry] of [
  ['approver', 'approver/main'],
  ['egress', 'egress/main'],
  ['backup-to-volume', 'backup-job/to-volume'],
  ['backup-to-bucket', 'backup-job/to-bucket'],
])
  await build({
    ...common,
    minify: true,
    entryPoints: [`src/programs/${entry}.ts`],
    plugins: [withoutKeyFinders],
    outfile: `dist/${program}.mjs`,
    // Faster masking for ws, in C; it does without.
    external: ['bufferutil', 'utf-8-validate'],
  });
await chmod('dist/cli.js', 0o755);
