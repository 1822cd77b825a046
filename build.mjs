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

await rm('dist', { recursive: true, force: true });
await build({
  ...common,
  entryPoints: { cli: 'src/cli.ts', demo: 'sandbox/demo.ts', bench: 'bench/main.ts' },
  outdir: 'dist',
  plugins: [withoutTypedClients],
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
});
// The kubelet-serving approver runs in the hosted cluster from a ConfigMap: one self-contained file.
await build({ ...common, minify: true, entryPoints: ['src/approver/main.ts'], outfile: 'dist/approver.mjs' });
await chmod('dist/cli.js', 0o755);
