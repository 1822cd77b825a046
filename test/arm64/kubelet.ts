import path from 'node:path';
import { cacheRoot } from '../../src/base/cache-root.ts';
import { buildBinary, checkModules, findGo, prepareSources } from '../../src/sandbox/artifacts/build.ts';
import { binaryPath, lockFolder, present, sourcePath } from '../../src/sandbox/artifacts/cache.ts';
import { withCacheLock } from '../../src/sandbox/artifacts/cache-lock.ts';

/** The kubelet of a version (`1.37.2`) for arm64: from the cache, or cross-built into it, which takes minutes. */
export async function arm64Kubelet(version: string, onProgress: (text: string) => void): Promise<string> {
  const root = cacheRoot();
  const target = binaryPath(root, 'kubernetes', version, 'kubelet', 'arm64');
  const folder = sourcePath(root, 'kubernetes', version, 'arm64');
  await withCacheLock(
    lockFolder(root),
    `kubernetes-${version}-arm64`,
    () => undefined,
    async () => {
      if (await present(target)) return;
      const go = await findGo();
      await checkModules(go, 'kubernetes', version, folder);
      await prepareSources(go, { component: 'kubernetes', version, folder, source: '' });
      await buildBinary(go, 'kubelet', version, folder, target, onProgress, 'arm64');
    },
  );
  return path.resolve(target);
}
