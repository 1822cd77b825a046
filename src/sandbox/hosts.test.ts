import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { overwrite, withLine } from './hosts.ts';

const own = ['127.0.0.1 localhost', '192.0.2.9 k.test'];

test('a name has one line for each sandbox, and the last one that was asked for comes first', () => {
  const first = withLine(own, 'one', 'k.test', '192.0.2.1');
  expect(first).toEqual([...own, '192.0.2.1 k.test # k8sk8s sandbox one']);
  const both = withLine(first, 'two', 'k.test', '192.0.2.2');
  expect(both).toEqual([...own, '192.0.2.2 k.test # k8sk8s sandbox two', '192.0.2.1 k.test # k8sk8s sandbox one']);
  expect(withLine(both, 'one', 'k.test', '192.0.2.3')).toEqual([
    ...own,
    '192.0.2.3 k.test # k8sk8s sandbox one',
    '192.0.2.2 k.test # k8sk8s sandbox two',
  ]);
});

test('another name, and one that it only begins with, keep their places', () => {
  const before = withLine(own, 'one', 'k.test.example', '192.0.2.1');
  expect(withLine(before, 'two', 'k.test', '192.0.2.2')).toEqual([...before, '192.0.2.2 k.test # k8sk8s sandbox two']);
});

test('who reads the file while it is written meets all names that stand in it before and after', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-hosts-'));
  const file = path.join(folder, 'hosts');
  const short = `${own.join('\n')}\n`;
  const long = `${short}192.0.2.1 other.test # k8sk8s sandbox one\n`;
  writeFileSync(file, long);
  const reader = new Worker(
    `const { readFileSync } = require('node:fs');
     const { parentPort, workerData } = require('node:worker_threads');
     let without = 0, reads = 0, over = false;
     parentPort.on('message', () => { over = true; });
     (function look() {
       for (let i = 0; i < 200; i++, reads++) if (!readFileSync(workerData, 'utf8').includes('k.test\\n')) without++;
       if (!over) return setImmediate(look);
       parentPort.postMessage({ without, reads });
       parentPort.close();
     })();`,
    { eval: true, workerData: file },
  );
  const found = new Promise<{ without: number; reads: number }>((resolve, reject) =>
    reader.once('message', resolve).once('error', reject),
  );
  for (let i = 0; i < 3000; i++) {
    overwrite(file, i % 2 === 0 ? short : long);
    if (i % 50 === 0) await setImmediate();
  }
  reader.postMessage('over');
  const { without, reads } = await found;
  expect(reads).toBeGreaterThan(0);
  expect(without).toBe(0);
  overwrite(file, short);
  expect(readFileSync(file, 'utf8')).toBe(short);
  rmSync(folder, { recursive: true });
});
