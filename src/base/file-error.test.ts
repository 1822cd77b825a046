import { describe, expect, it } from 'vitest';
import { fileError } from './file-error.ts';

describe('fileError', () => {
  it.each([
    ['ENOSPC', 'there is no space left on the device'],
    ['EDQUOT', 'your disk quota is used up'],
    ['EACCES', 'you have no permission'],
    ['EROFS', 'the file system is read-only'],
    ['ENOTDIR', 'a part of the path is a file, not a folder'],
    ['EIO', 'EIO: i/o error'],
  ])('explains %s', (code, why) => {
    expect(
      fileError('write', 'tls/kubeconfig', Object.assign(new Error(`${code}: i/o error`), { code })),
    ).toMatchObject({ what: 'cannot write tls/kubeconfig', why, anchor: 'file-not-writable' });
  });

  it('leaves bugs alone', () => {
    const bug = new TypeError('x is not a function');
    expect(fileError('read', 'f', bug)).toBe(bug);
  });
});
