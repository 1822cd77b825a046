// Bundles the CLI into dist/: one small entry and one lazily loaded chunk for each command, so that
// `k8sk8s --help` does not read what only `deploy` needs.
import { chmod, rm } from 'node:fs/promises';
import { build } from 'esbuild';
import { common, plugins } from './bundle.mjs';

await rm('dist', { recursive: true, force: true });
await build({
  ...common,
  entryPoints: {
    cli: 'src/cli.ts',
    demo: 'src/sandbox/demo.ts',
    bench: 'test/bench/main.ts',
    conformance: 'test/conformance/main.ts',
    faults: 'test/faults/main.ts',
    'node-matrix': 'test/node-matrix.ts',
    record: 'test/streams/record.ts',
  },
  outdir: 'dist',
  plugins,
  // There is less to read at each start. Names stay, for traces.
  minifyWhitespace: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
});
await chmod('dist/cli.js', 0o755);
