import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

export interface Import {
  /** Path below src. */
  from: string;
  /** A file by its path below src, which begins with `../` outside of it; or the name of a library. */
  to: string;
  isLibrary: boolean;
}

const files = readdirSync('src', { recursive: true, encoding: 'utf8' });

/** The sources of what runs, by their paths below src: no tests. */
export const sources = files.filter((file) => /\.ts$/.test(file) && !/\.(test|fixture|d)\.ts$/.test(file));

export const roomOf = (file: string) => file.split('/')[0]!;
export const said = ({ from, to }: Pick<Import, 'from' | 'to'>) => `${from} imports ${to}`;

/**
 * What a source imports in whichever way: values, types, `import()`, `export from`, and texts, which are templates and the programs of
 * pods (`main.ts?program`). A program as text is an arrow like any other: its program is made of what it imports.
 */
export function importsIn(from: string, text: string): Import[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => {
    const to = fileName.replace(/\?\w+$/, '');
    if (!to.startsWith('.')) return { from, to: /^(@[^/]+\/)?[^/]+/.exec(to)![0], isLibrary: true };
    return { from, to: path.posix.join(path.posix.dirname(from), to), isLibrary: false };
  });
}

export const imports: Import[] = sources.flatMap((from) => importsIn(from, readFileSync(`src/${from}`, 'utf8')));

/** Those of other files of src, their texts among them. */
export const local = imports.filter(({ to, isLibrary }) => !isLibrary && !to.startsWith('../'));

/** What is there beside what may be there. A test expects both lists to be empty, so that no exception outlives its reason. */
export function beside(found: string[], allowed: string[]): { notAllowed: string[]; notNeeded: string[] } {
  return {
    notAllowed: [...new Set(found)].filter((each) => !allowed.includes(each)),
    notNeeded: allowed.filter((each) => !found.includes(each)),
  };
}

export const nothing = { notAllowed: [], notNeeded: [] };
