import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { beside, type Import, imports, importsIn, local, nothing, roomOf, said, sources } from './imports.ts';
import { rooms } from './rooms.ts';

/** Operations that are made of others, and which. Every other operation imports none. */
const composed: Record<string, string[]> = {
  'operations/restore': ['operations/deploy', 'operations/destroy'],
  'operations/class': ['operations/deploy', 'operations/destroy', 'operations/status'],
  'operations/list': ['operations/status'],
};

/** Libraries that have an owner, and their owners. */
const owners: Record<string, string[]> = {
  'https-proxy-agent': ['kube'],
  'http-proxy-agent': ['kube'],
  'socks-proxy-agent': ['kube'],
  commander: ['cli.ts', 'commands'],
  chalk: ['ui'],
  ora: ['ui'],
  'node-forge': ['pki'],
};

const order: readonly string[] = rooms;
const leadsUp = ({ from, to }: Import) => order.indexOf(roomOf(to)) > order.indexOf(roomOf(from));

test('an import is seen whatever its kind', () => {
  const text = `
    import a from './a.ts';
    import type { B } from './b.ts';
    export * from './c.ts';
    import './d.ts';
    import program from '../programs/gate/main.ts?program';
    import template from './e.yaml';
    const later = await (isLarge ? import('./f.ts?program') : import('./g.ts'));
    type H = import('./h.ts').H;
    const none = "import x from './x.ts'"; // import('./y.ts')`;
  expect(importsIn('base/planted.ts', text).map(({ to }) => to)).toEqual(
    ['base/a.ts', 'base/b.ts', 'base/c.ts', 'base/d.ts', 'programs/gate/main.ts', 'base/e.yaml'].concat(
      ['f', 'g', 'h'].map((name) => `base/${name}.ts`),
    ),
  );
  expect(importsIn('base/planted.ts', text).filter(leadsUp).map(said)).toEqual([
    'base/planted.ts imports programs/gate/main.ts',
  ]);
  expect(imports.filter(({ to, isLibrary }) => !isLibrary && !existsSync(`src/${to}`)).map(said)).toEqual([]);
});

test('every file of src stands in a room, and cli.ts alone stands outside', () => {
  expect(beside(sources.map(roomOf), [...rooms])).toEqual(nothing);
});

test('no arrow leads up, so no rooms import each other in a circle', () => {
  console.log(`floors, from the ground up:\n${floors().join('\n')}`);
  expect(local.filter(leadsUp).map(said)).toEqual([]);
});

test('files of one room do not import each other in a circle', () => {
  const next = new Map(sources.map((file) => [file, local.filter(({ from }) => from === file).map(({ to }) => to)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: string[]) => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' -> '));
    if (way.includes(file) || done.has(file)) return;
    for (const other of next.get(file) ?? []) visit(other, [...way, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
  expect(circles).toEqual([]);
});

test('an operation imports no other one but those that it is made of', () => {
  const operation = (file: string) => /^operations\/[^/.]+/.exec(file)?.[0];
  // index.ts hands all of them to other programs.
  const between = local
    .filter(({ from }) => from !== 'operations/index.ts')
    .map(({ from, to }) => ({ from: operation(from)!, to: operation(to)! }))
    .filter(({ from, to }) => from && to && from !== to);
  const allowed = Object.entries(composed).flatMap(([from, parts]) => parts.map((to) => ({ from, to })));
  expect(beside(between.map(said), allowed.map(said))).toEqual(nothing);
});

test('a command imports no other command', () => {
  const isCommand = (file: string) => /^commands\/[^/]+\.ts$/.test(file);
  expect(local.filter(({ from, to }) => isCommand(from) && isCommand(to)).map(said)).toEqual([]);
});

test('only operations take the lock of a plane, and only by withPlane and withLock', () => {
  expect(local.filter(({ to }) => to === 'live/lock.ts').map(({ from }) => from)).toEqual(['live/with-plane.ts']);
  const takers = sources.filter((file) => /\bwith(Plane|Lock)\(/.test(readFileSync(`src/${file}`, 'utf8')));
  // The sandbox has a lock of its own, a file of this machine.
  expect(beside(takers.filter((file) => file !== 'live/with-plane.ts').map(roomOf), ['operations', 'sandbox'])).toEqual(
    nothing,
  );
});

test('a library that has an owner is imported by its owner alone', () => {
  const found = imports.filter(({ to }) => to in owners).map(({ from, to }) => ({ from: roomOf(from), to }));
  const allowed = Object.entries(owners).flatMap(([to, all]) => all.map((from) => ({ from, to })));
  expect(beside(found.map(said), allowed.map(said))).toEqual(nothing);
});

test('what a plane is, is pure: plane and config do no I/O', () => {
  const io = /^node:(fs|net|tls|http|https|dns|child_process|timers)/;
  const impure = imports.filter(({ from, to }) => ['plane', 'config'].includes(roomOf(from)) && io.test(to));
  expect(impure.map(said)).toEqual([]);
});

/** Each room with the rooms that it imports. */
function floors(): string[] {
  return rooms.map((room) => {
    const below = new Set(local.filter(({ from }) => roomOf(from) === room).map(({ to }) => roomOf(to)));
    below.delete(room);
    return `  ${room.padEnd(11)} ${rooms.filter((other) => below.has(other)).join(', ')}`;
  });
}
