import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { commands } from './commands.ts';
import { rooms } from './rooms.ts';

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];
const textOf = (file: string) => readFileSync(file, 'utf8');

test('CONTRIBUTING.md has a line for each room of src, from the top floor down', () => {
  const lines = [...textOf('CONTRIBUTING.md').matchAll(/^\| `([\w.]+)\/?` \|/gm)].map(([, room]) => room);
  expect(lines.filter((line) => existsSync(`src/${line}`))).toEqual([...rooms].reverse());
});

test('the line of a room names each folder in it', () => {
  const lines = textOf('CONTRIBUTING.md').split('\n');
  const missing = rooms.flatMap((room) => {
    const line = lines.find((each) => each.startsWith(`| \`${room}/\` |`)) ?? '';
    return existsSync(`src/${room}`) && statSync(`src/${room}`).isDirectory()
      ? readdirSync(`src/${room}`, { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && !line.includes(`\`${entry.name}/\``))
          .map(({ name }) => `src/${room}/${name}`)
      : [];
  });
  expect(missing).toEqual([]);
});

test('a file that a document links to or names is there', () => {
  expect(documents.length).toBeGreaterThan(20);
  const missing = documents.flatMap((document) => {
    const text = textOf(document);
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, to]) =>
      path.posix.join(path.posix.dirname(document), to!),
    );
    const named = [...text.matchAll(/\b(?:src|test|templates|docs)\/[\w./-]*\w/g)]
      .filter(({ index }) => !/[\w/]/.test(text[index - 1] ?? ''))
      .map(([name]) => name);
    return [...links, ...named].filter((file) => !existsSync(file)).map((file) => `${document}: ${file}`);
  });
  expect(missing).toEqual([]);
});

test('each decision has a number of its own, which its heading says', () => {
  const decisions = readdirSync('docs/adr');
  const numbers = decisions.map((file) => Number(file.slice(0, 4)));
  expect(numbers.filter((number, index) => numbers.indexOf(number) !== index)).toEqual([]);
  const headings = decisions.map((file) => Number(/^# (\d+)\. /.exec(textOf(`docs/adr/${file}`))?.[1]));
  expect(headings).toEqual(numbers);
});

test('a heading that a document links to is there', () => {
  const headings = (file: string) =>
    [...textOf(file).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replace(/\s/g, '-'),
    );
  const missing = documents.flatMap((document) =>
    [...textOf(document).matchAll(/\]\(([^)#:]*)#([^)]+)\)/g)]
      .map(([, file, anchor]) => ({
        file: path.posix.join(path.posix.dirname(document), file || path.basename(document)),
        anchor: anchor!,
      }))
      .filter(({ file, anchor }) => existsSync(file) && !headings(file).includes(anchor))
      .map(({ file, anchor }) => `${document}: ${file}#${anchor}`),
  );
  expect(missing).toEqual([]);
});

test('the README compares k8sk8s with its neighbours as docs/compare.md does', () => {
  const [, table] = /\n## In short\n\n((?:\|.*\n)+)/.exec(textOf('docs/compare.md')) ?? [];
  expect(table).toBeDefined();
  expect(textOf('README.md')).toContain(table);
});

test('each option that a help shows stands on some page, and no page names one that does not exist', () => {
  const flags = [...new Set(commands.filter(({ hidden }) => !hidden).flatMap(({ flags }) => flags))];
  expect(flags.length).toBeGreaterThan(100);
  const pages = documents.filter((file) => !file.startsWith('docs/adr/')).map(textOf);
  const text = pages.join('\n');
  // `--oidc-…` stands for all that begin so.
  const families = [...text.matchAll(/(--[a-z][a-z-]*-)…/g)].map(([, family]) => family!);
  const isTold = (flag: string) =>
    new RegExp(`${flag}(?![\\w-])`).test(text) || families.some((family) => flag.startsWith(family));
  expect(flags.filter((flag) => !isTold(flag))).toEqual([]);
  const named = text.matchAll(/k8sk8s ([a-z][a-z -]*[a-z])[^`\n|]*/g);
  const wrong = [...named].flatMap(([line, words]) => {
    const of = commands.filter(({ name }) => `${words} `.startsWith(`${name} `)).at(-1);
    if (!of?.runs) return [];
    const [own = ''] = line.split(/ -- |[#;|(]/);
    return [...own.matchAll(/ (--[a-z][a-z-]*[a-z])/g)].flatMap(([, flag]) =>
      of.flags.includes(flag!) ? [] : [`${of.name} ${flag}`],
    );
  });
  expect(wrong).toEqual([]);
});
