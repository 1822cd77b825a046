import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { loadAll } from 'js-yaml';
import { describe, expect, test } from 'vitest';
import { render } from './render.ts';

describe('render', () => {
  test('a whole placeholder keeps its type, an embedded one becomes text', () => {
    expect(render('a: ${port}\nb: "port ${port}"', { port: 7 }, 't')).toEqual([{ a: 7, b: 'port 7' }]);
  });
  test('a value can never become syntax', () => {
    expect(render('a: ${text}', { text: 'x\nb: 1 # "\'' }, 't')).toEqual([{ a: 'x\nb: 1 # "\'' }]);
  });
  test('a list inside a list is spliced in; undefined removes the field or item', () => {
    expect(
      render('args: [--a, "${more}", "${none}"]\ngone: ${none}', { more: ['--b', '--c'], none: undefined }, 't'),
    ).toEqual([{ args: ['--a', '--b', '--c'] }]);
  });
  test('is strict both ways', () => {
    expect(() => render('a: ${x}', {}, 'file.yaml')).toThrow('file.yaml: no value for ${x}');
    expect(() => render('a: 1', { x: 1 }, 'file.yaml')).toThrow('file.yaml: nothing uses x');
  });
  test("Kubernetes' own $(NAME) is left alone", () => {
    expect(render('a: --name=$(POD_NAME)', {}, 't')).toEqual([{ a: '--name=$(POD_NAME)' }]);
  });
  test('every template is valid plain YAML before anything is filled in, and is used', () => {
    const files = ['templates', 'src'].flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
    );
    const templates = files.filter((file) => file.endsWith('.yaml') && !file.endsWith('.values.yaml'));
    expect(templates.length).toBeGreaterThan(30);
    for (const file of templates)
      for (const object of loadAll(readFileSync(file, 'utf8')))
        expect(object, file).toMatchObject({ apiVersion: expect.any(String), kind: expect.any(String) });
    const imported = files
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) =>
        [...readFileSync(file, 'utf8').matchAll(/from '(\.[^']+\.yaml)'/g)].map(([, to]) =>
          path.posix.join(path.posix.dirname(file), to!),
        ),
      );
    expect(templates.filter((file) => !imported.includes(file))).toEqual([]);
  });
});
