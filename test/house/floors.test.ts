import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { rooms } from './rooms.ts';

/** Operations that are made of others, and which. Every other operation imports none. */
const composed: Record<string, string[]> = {
  'operations/restore': ['operations/deploy', 'operations/destroy'],
  'operations/keys': ['operations/keys'],
  'operations/class': ['operations/deploy', 'operations/destroy', 'operations/status'],
  'operations/list': ['operations/status'],
};

interface Import {
  from: string;
  to: string;
}

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
  (file) => /\.ts$/.test(file) && !/\.(test|fixture|d)\.ts$/.test(file),
);

const imports: Import[] = sources.flatMap((from) =>
  [...readFileSync(`src/${from}`, 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(([, to]) => ({
    from,
    to: to!.startsWith('.') ? path.posix.join(path.posix.dirname(from), to!) : to!,
  })),
);

const local = imports.filter(({ to }) => sources.includes(to));
const roomOf = (file: string) => file.split('/')[0]!;
const said = ({ from, to }: Import) => `${from} imports ${to}`;
const importsOf = (name: string) => imports.filter(({ to }) => to === name || to.startsWith(`${name}/`));

test('every file of src stands in a room, and cli.ts alone stands outside', () => {
  expect([...new Set(sources.map(roomOf))].filter((room) => !(rooms as readonly string[]).includes(room))).toEqual([]);
});

test('no arrow leads up, so no rooms import each other in a circle', () => {
  const floor = (file: string) => (rooms as readonly string[]).indexOf(roomOf(file));
  console.log(`floors, from the ground up:\n${floors().join('\n')}`);
  expect(local.filter(({ from, to }) => floor(to) > floor(from)).map(said)).toEqual([]);
});

test('files of one room do not import each other in a circle', () => {
  const next = new Map(sources.map((file) => [file, local.filter(({ from }) => from === file).map(({ to }) => to)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: string[]) => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' -> '));
    if (way.includes(file) || done.has(file)) return;
    for (const other of next.get(file)!) visit(other, [...way, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
  expect(circles).toEqual([]);
});

test('an operation imports no other one but those that it is made of', () => {
  const operation = (file: string) => /^operations\/[^/.]+/.exec(file)?.[0];
  // index.ts hands all of them to other programs.
  const between = local.filter(
    ({ from, to }) =>
      from !== 'operations/index.ts' && operation(from) && operation(to) && operation(from) !== operation(to),
  );
  expect(between.filter(({ from, to }) => !composed[operation(from)!]?.includes(operation(to)!)).map(said)).toEqual([]);
});

test('a command imports no other command', () => {
  const isCommand = (file: string) => /^commands\/[^/]+\.ts$/.test(file);
  expect(local.filter(({ from, to }) => isCommand(from) && isCommand(to)).map(said)).toEqual([]);
});

test('only operations take the lock of a plane, and only by withPlane and withLock', () => {
  expect(local.filter(({ to }) => to === 'live/lock.ts').map(({ from }) => from)).toEqual(['live/with-plane.ts']);
  const takers = sources.filter((file) => /\bwith(Plane|Lock)\(/.test(readFileSync(`src/${file}`, 'utf8')));
  // The sandbox has a lock of its own, a file of this machine.
  const allowed = ['operations', 'sandbox'];
  expect(takers.filter((file) => !allowed.includes(roomOf(file)) && file !== 'live/with-plane.ts')).toEqual([]);
});

test('a library that has an owner is imported by its owner alone', () => {
  const owners: Record<string, string[]> = {
    'https-proxy-agent': ['kube'],
    'http-proxy-agent': ['kube'],
    'socks-proxy-agent': ['kube'],
    commander: ['cli.ts', 'commands'],
    chalk: ['ui'],
    ora: ['ui'],
    // The approver reads the requests of kubelets, which node-forge's own parser does not know (EC keys).
    'node-forge': ['pki', 'programs'],
  };
  for (const [library, allowed] of Object.entries(owners))
    expect(
      importsOf(library)
        .filter(({ from }) => !allowed.includes(roomOf(from)))
        .map(said),
      library,
    ).toEqual([]);
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
