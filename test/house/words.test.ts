import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { expect, test } from 'vitest';
import type { OptionName } from '../../src/base/words.ts';
import { flagOf } from '../../src/config/flags.ts';
import { flagged } from '../../src/ui/words.ts';
import { commands } from './commands.ts';
import { beside, nothing, sources } from './imports.ts';

/** Texts for the command line itself: the help of the flags, and a program that people run by its own name. */
const ofTheCommandLine = /^(cli\.ts|commands\/|config\/fields\/|sandbox\/demo\.ts)/;

/** No sentences: the name under which 0.1.0 recorded a command that was not finished, and marks in files of this machine. */
const noSentence = [
  'plane/record.ts: certs rotate-ca --authority ca kubelet-serving-ca',
  'sandbox/artifacts/cache.ts: Signature: 8a477f597d28d172789f06886806bc55',
  'sandbox/hosts.ts: # k8sk8s sandbox ',
];

const below = sources.filter((file) => !ofTheCommandLine.test(file));

function treeOf(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(`src/${file}`, 'utf8'), ts.ScriptTarget.Latest, true);
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

/** Each string of a file, and each piece of a template. */
function texts(file: string): string[] {
  const found: string[] = [];
  visit(treeOf(file), (node) => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      found.push(node.text);
  });
  return found;
}

const flagsOf = (name: string) => commands.find((each) => each.name === name)?.flags ?? [];
const flags = [...new Set(commands.flatMap(({ flags }) => flags))];

test('no sentence below commands/ has a command of k8sk8s or an option in its text: they are parts', () => {
  const named = new RegExp(
    `k8sk8s (?:${commands.map(({ name }) => name).join('|')})\\b|(?:^|[\\s(])(?:${flags.join('|')})(?:$|[\\s,;.:)])`,
  );
  const found = below.flatMap((file) =>
    texts(file)
      .filter((text) => /\S\s/.test(text) && named.test(text))
      .map((text) => `${file}: ${text.split('\n')[0]}`),
  );
  expect(beside(found, noSentence)).toEqual(nothing);
});

/** The strings that a type of base/words.ts is made of. */
function membersOf(type: 'CommandName' | 'OptionName'): string[] {
  const members: string[] = [];
  visit(treeOf('base/words.ts'), (node) => {
    if (ts.isTypeAliasDeclaration(node) && node.name.text === type)
      visit(node.type, (each) => ts.isStringLiteral(each) && members.push(each.text));
  });
  return members;
}

test('the command line has every command and every option that sentences name, and sentences name each', () => {
  const [named, options] = [membersOf('CommandName'), membersOf('OptionName')];
  expect(Math.min(named.length, options.length)).toBeGreaterThan(10);
  expect(named.filter((name) => !commands.some((each) => each.name === name))).toEqual([]);
  const flagsNamed = options.map((option) => flagged({ option: option as OptionName }));
  expect(flagsNamed.filter((flag) => flag !== '-n' && !flags.includes(flag))).toEqual([]);
  const said = new Set(sources.filter((file) => file !== 'base/words.ts').flatMap(texts));
  expect([...named, ...options].filter((name) => !said.has(name))).toEqual([]);
});

test('a command in a sentence is given options that it has', () => {
  const given: [file: string, command: string, flag: string][] = [];
  const named = (node: ts.Node, callee: string) =>
    ts.isCallExpression(node) && node.expression.getText() === callee && ts.isStringLiteral(node.arguments[0]!)
      ? node.arguments[0].text
      : undefined;
  for (const file of below)
    visit(treeOf(file), (node) => {
      const command = named(node, 'command');
      if (command === undefined || !ts.isCallExpression(node)) return;
      for (const argument of node.arguments) {
        const [option, field] = [named(argument, 'option'), named(argument, 'field')];
        if (option) given.push([file, command, flagged({ option: option as OptionName })]);
        if (field) given.push([file, command, flagOf(field)]);
      }
    });
  expect(given.length).toBeGreaterThan(10);
  for (const [file, command, flag] of given) expect(flagsOf(command), `${file}: ${command} ${flag}`).toContain(flag);
});
