import { readdirSync, readFileSync } from 'node:fs';
import { loadAll } from 'js-yaml';
import { describe, expect, test } from 'vitest';
import { render } from './render.ts';
import { templates } from './templates.ts';

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
  test('every template is valid plain YAML before anything is filled in', () => {
    for (const [name, text] of Object.entries(templates))
      for (const object of loadAll(text))
        expect(object, name).toMatchObject({ apiVersion: expect.any(String), kind: expect.any(String) });
  });
  test('so is every template of a component of the plane', () => {
    const files = readdirSync('src/plane/components', { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((each) => each.endsWith('.yaml')))
      for (const object of loadAll(readFileSync(`src/plane/components/${file}`, 'utf8')))
        expect(object, file).toMatchObject({ apiVersion: expect.any(String), kind: expect.any(String) });
  });
  test('every file of templates/hosted, templates/plane and templates/rights can be rendered', () => {
    const files = ['hosted', 'plane', 'rights'].flatMap((folder) =>
      readdirSync(`templates/${folder}`).map((file) => `${folder}/${file}`),
    );
    expect(Object.keys(templates).sort()).toEqual(files.sort());
  });
});
