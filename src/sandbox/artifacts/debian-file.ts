import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import { writeAtomically } from './cache.ts';
import { findProgram, lastErrors, run } from './programs.ts';

/**
 * Takes one file out of a Debian package without installing the package, whose service would start on this box.
 *
 * @param wanted PACKAGE/PATH: `nginx/usr/sbin/nginx`
 * @param folder for the package meanwhile; emptied
 * @throws UserError `apt-failed`
 */
export async function unpackDebianFile(
  wanted: string,
  folder: string,
  target: string,
  onProgress: (text: string) => void,
): Promise<void> {
  const [name = '', ...path] = wanted.split('/');
  const apt = await findProgram('apt-get');
  if (!apt) throw failed(name, 'this is no Debian-like system');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  // When root runs apt-get, it downloads as the user _apt, who may not write here.
  const download = () => run(apt, ['--quiet', '-o', 'APT::Sandbox::User=root', 'download', name], { cwd: folder });
  onProgress('apt-get download');
  let ran = await download();
  if (ran.code !== 0) {
    // The package lists may be old and name a version that the mirror does not have any more.
    onProgress('apt-get update');
    await run(apt, ['--quiet', 'update']);
    ran = await download();
  }
  const archive = (await readdir(folder)).find((file) => file.endsWith('.deb'));
  if (ran.code !== 0 || !archive) throw failed(name, lastErrors(ran));
  const unpacked = await run('dpkg-deb', ['--extract', join(folder, archive), join(folder, 'root')]);
  if (unpacked.code !== 0) throw failed(name, lastErrors(unpacked));
  await writeAtomically(target, (temporary) => copyFile(join(folder, 'root', ...path), temporary));
}

function failed(name: string, why: string): UserError {
  return new UserError({
    what: `the Debian package ${name} could not be fetched`,
    why,
    fix: words`make this work, then ${again}: apt-get update && apt-get download ${name}`,
    anchor: 'apt-failed',
  });
}
