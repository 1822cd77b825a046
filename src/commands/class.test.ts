import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { configure } from './class.ts';

test('a class that is made again stays in its namespaces: the pattern is given once', async () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'class-'));
  const file = path.join(dir, 'linux.csv');
  writeFileSync(file, 'student\nanna\n');
  const create = async (...args: string[]) => {
    const command = new Command();
    configure(command);
    const place = ['-f', file, '--dir', dir, '--kubeconfig', path.join(dir, 'none')];
    // There is no infra cluster. What has to be known after a run that was killed is written before one is asked.
    await expect(command.parseAsync(['node', 'class', 'create', ...place, ...args])).rejects.toBeDefined();
    return JSON.parse(readFileSync(path.join(dir, 'class.json'), 'utf8')) as object;
  };
  const first = await create('-n', 'x-{student}', '-h', '{student}.k.example.com');
  expect(first).toMatchObject({ namespace: 'x-{student}', students: { anna: { namespace: 'x-anna' } } });
  expect(await create()).toEqual(first);
});
