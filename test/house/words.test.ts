import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { commandNames, optionNames } from '../../src/base/words.ts';
import { flagOf } from '../../src/config/flags.ts';
import { clusterSpec } from '../../src/config/schema.ts';
import { flagged } from '../../src/ui/words.ts';

/** Rooms whose sentences are still made for the command line. */
const before = [
  'access',
  'backup',
  'drift',
  'etcd',
  'hosted',
  'kube',
  'kubeconfig',
  'live',
  'operations',
  'pki',
  'plane',
];
const later = [...before, 'rollout', 'programs', 'sandbox', 'base'];

/** Texts for the command line itself: the help of the flags, and a program that people run by its own name. */
const ofTheCommandLine = ['config/schema.ts', 'sandbox/demo.ts', ...later];

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
  (file) =>
    /\.ts$/.test(file) &&
    !/\.(test|fixture|d)\.ts$/.test(file) &&
    !/^(cli\.ts|commands\/)/.test(file) &&
    !ofTheCommandLine.some((each) => file === each || file.startsWith(`${each}/`)),
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
  const flags = [...Object.keys(clusterSpec.shape).map(flagOf), ...optionNames.map((option) => flagged({ option }))];
  const named = new RegExp(
    `k8sk8s (?:${commandNames.join('|')})\\b|(?:^|[\\s(])(?:${flags.join('|')})(?:$|[\\s,;.:)])`,
  );
  const isSentence = (text: string) => /\S\s/.test(text);
  const said = sources.flatMap((file) =>
    texts(file)
      .filter((text) => isSentence(text) && named.test(text))
      .map((text) => `${file}: ${text}`),
  );
  expect(said).toEqual([]);
});
