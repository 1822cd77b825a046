import type * as PackageFile from '../../src/base/package-file.ts';

/** The package's files with words in the place of its programs, which are bundled anew at every build. */
export function withFixedPrograms(original: typeof PackageFile): typeof PackageFile {
  const packageText = (file: string) => {
    const [, program] = /^dist\/(.+)\.mjs$/.exec(file) ?? [];
    return program === undefined ? original.packageText(file) : `THE PROGRAM ${program}\n`;
  };
  return { ...original, packageText };
}
