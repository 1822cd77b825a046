import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { commandNames, optionNames } from '../../src/base/words.ts';
import { flagOf } from '../../src/config/flags.ts';
import { clusterSpec } from '../../src/config/schema.ts';
import { flagged } from '../../src/ui/words.ts';

/** Texts for the command line itself: the help of the flags, and a program that people run by its own name. */
const ofTheCommandLine = ['config/schema.ts', 'sandbox/demo.ts'];

/** No sentence: the name under which 0.1.0 recorded a command that was not finished. */
const recorded = 'certs rotate-ca --authority ca kubelet-serving-ca';

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
  (file) =>
    /\.ts$/.test(file) &&
    !/\.(test|fixture|d)\.ts$/.test(file) &&
    !/^(cli\.ts|commands\/)/.test(file) &&
    !ofTheCommandLine.includes(file),
);

/** Each string of a file, and each piece of a template, that is not an import's. */
function texts(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(`src/${file}`, 'utf8'), ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      found.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test('no sentence below commands/ has a command of k8sk8s or an option in its text: they are parts', () => {
  const flags = [
    ...Object.keys(clusterSpec.shape).map(flagOf),
    ...optionNames.filter((option) => option !== 'namespace').map((option) => flagged({ option })),
  ];
  const named = new RegExp(
    `k8sk8s (?:${commandNames.join('|')})\\b|(?:^|[\\s(])(?:${flags.join('|')})(?:$|[\\s,;.:)])`,
  );
  const isSentence = (text: string) => /\S\s/.test(text);
  const said = sources.flatMap((file) =>
    texts(file)
      .filter((text) => isSentence(text) && named.test(text) && text !== recorded)
      .map((text) => `${file}: ${text}`),
  );
  expect(said).toEqual([]);
});
