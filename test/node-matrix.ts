import { spawn } from 'node:child_process';
import path from 'node:path';
import { cacheRoot } from '../src/base/cache-root.ts';
import { binaryPath, ensureCacheRoot, lockFolder, present, sourcePath } from '../src/sandbox/artifacts/cache.ts';
import { withCacheLock } from '../src/sandbox/artifacts/cache-lock.ts';
import { unpackNpmFile } from '../src/sandbox/artifacts/npm-file.ts';
import { versions } from '../src/sandbox/versions.ts';

// Runs the tests that need no cluster with other releases of Node.js: npm run test:node -- [MAJOR|VERSION...]

/** The release of each major that is tested. */
const releases: Record<string, string> = { 22: '22.23.5', 24: versions.node, 26: '26.12.1' };

const projects = ['unit', 'golden', 'cli'].flatMap((project) => ['--project', project]);

const asked = process.argv.slice(2);
const outcomes: string[] = [];
for (const name of asked.length > 0 ? asked : Object.keys(releases)) {
  const version = releases[name] ?? name;
  const code = await tested(await nodeOf(version));
  outcomes.push(`Node.js ${version}: ${code === 0 ? 'passed' : 'FAILED'}`);
  if (code !== 0) process.exitCode = 1;
}
console.log(outcomes.join('\n'));

/** The path of that release's program, which npm fetches into the cache, outside of the checkout. */
async function nodeOf(version: string): Promise<string> {
  const root = cacheRoot();
  const program = binaryPath(root, 'node', version, 'node');
  await ensureCacheRoot(root);
  await withCacheLock(
    lockFolder(root),
    `node-${version}`,
    () => undefined,
    async () => {
      if (await present(program)) return;
      console.log(`fetching Node.js ${version} from npm`);
      await unpackNpmFile('node-linux/bin/node', version, sourcePath(root, 'node', version), program, () => undefined);
    },
  );
  return program;
}

function tested(node: string): Promise<number | null> {
  const vitest = path.resolve('node_modules/vitest/vitest.mjs');
  // What the tests start by the name `node` is the same release.
  const PATH = `${path.dirname(node)}${path.delimiter}${process.env.PATH}`;
  const child = spawn(node, [vitest, 'run', ...projects], { stdio: 'inherit', env: { ...process.env, PATH } });
  return new Promise((resolve) => child.once('exit', resolve));
}
