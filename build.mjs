// Bundles the CLI into dist/: one small entry and one lazily loaded chunk for each command, so that
// `k8sk8s --help` does not read what only `deploy` needs.
import { execFileSync } from 'node:child_process';
import { chmod, rm } from 'node:fs/promises';
import { build } from 'esbuild';
import { common, plugins, renderedChart } from './bundle.mjs';

const charts = ['src/plane/networks/cilium/cilium-1.20.2.values.yaml'];

await buildAll();
// A release has the manifests of all network drivers; other builds those that were made before.
if (process.argv.includes('--charts')) {
  for (const values of charts)
    execFileSync(process.execPath, ['dist/charts.js', values, await renderedChart(values)], { stdio: 'inherit' });
  await buildAll();
}

async function buildAll() {
  await rm('dist', { recursive: true, force: true });
  await build({
    ...common,
    entryPoints: {
      cli: 'src/cli.ts',
      arm64: 'test/arm64/main.ts',
      demo: 'src/sandbox/demo.ts',
      bench: 'test/bench/main.ts',
      charts: 'src/sandbox/charts.ts',
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
}
