import path from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

/** Of src/base/words.ts: what a sentence has in it that is no text. In a text it would be `[object Object]`. */
const partNames = ['CommandPart', 'OptionPart', 'FieldPart'];

/** The files with the types of the project's own sources: packages are left out, which would take most of the time. */
function programOf(files: string[], sources?: Record<string, string>): ts.Program {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    lib: ['lib.es2023.d.ts'],
    types: [],
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
  };
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (file) => sources?.[file] ?? readFile(file);
  host.fileExists = (file) => sources?.[file] !== undefined || fileExists(file);
  host.resolveModuleNameLiterals = (literals, from) =>
    literals.map(({ text }) => ({
      resolvedModule: /^\..*\.ts$/.test(text)
        ? { resolvedFileName: path.join(path.dirname(from), text), extension: ts.Extension.Ts }
        : undefined,
    }));
  return ts.createProgram(files, options, host);
}

/** Expressions that a node makes text of as JavaScript does. */
function madeText(node: ts.Node): readonly ts.Expression[] {
  if (ts.isTemplateExpression(node))
    return ts.isTaggedTemplateExpression(node.parent) ? [] : node.templateSpans.map(({ expression }) => expression);
  if (ts.isBinaryExpression(node))
    return [ts.SyntaxKind.PlusToken, ts.SyntaxKind.PlusEqualsToken].includes(node.operatorToken.kind)
      ? [node.left, node.right]
      : [];
  if (!ts.isCallExpression(node)) return [];
  const { expression, arguments: given } = node;
  if (ts.isPropertyAccessExpression(expression) && expression.name.text === 'join') return [expression.expression];
  return expression.getText() === 'String' ? given : [];
}

function sentencesInText(program: ts.Program, files: string[]): string[] {
  const checker = program.getTypeChecker();
  const hasPart = (type: ts.Type, depth = 0): boolean => {
    if (type.isUnion()) return type.types.some((each) => hasPart(each, depth));
    if (partNames.includes(type.symbol?.name ?? '')) return true;
    const [element] = checker.isArrayLikeType(type) ? checker.getTypeArguments(type as ts.TypeReference) : [];
    return element !== undefined && depth < 3 && hasPart(element, depth + 1);
  };
  return files.flatMap((name) => {
    const file = program.getSourceFile(name)!;
    const found: string[] = [];
    const see = (node: ts.Node): void => {
      for (const expression of madeText(node))
        if (hasPart(checker.getTypeAtLocation(expression)))
          found.push(`${path.relative('.', name)}: ${expression.getText()}`);
      ts.forEachChild(node, see);
    };
    see(file);
    return found;
  });
}

test('no sentence with parts becomes text but by a caller that says its parts', { timeout: 120_000 }, () => {
  const files = ts.sys
    .readDirectory(path.resolve('src'), ['.ts'])
    .filter((file) => !/\.(test|fixture|d)\.ts$/.test(file) && !file.endsWith('src/base/words.ts'));
  const planted = path.resolve('src/planted.ts');
  const source = `
import { command, type Words, words } from './base/words.ts';
export function say(why: Words | undefined, all: Words[]): unknown[] {
  return [\`because \${why}\`, 'because ' + why, all.join(), String(why), \`\${command('wake')}\`, words\`\${why!}\`];
}`;
  const program = programOf([...files, planted], { [planted]: source });
  expect(sentencesInText(program, [planted])).toEqual(
    ['why', 'why', 'all', 'why', "command('wake')"].map((each) => `src/planted.ts: ${each}`),
  );
  expect(sentencesInText(program, files)).toEqual([]);
});
