import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { otherImages } from '../../config/versions.ts';
import { ownImage } from './images.ts';
import { packageFiles } from './package-files.ts';

const dockerfile = readFileSync('Dockerfile', 'utf8');

test('the image holds what the package does', () => {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], { encoding: 'utf8', stdio: 'pipe' }),
  );
  expect(packageFiles('.')).toEqual(packed.files.map((file: { path: string }) => file.path).sort());
});

test('the image of the sandbox and the one of the Dockerfile are run in the same way', () => {
  expect(dockerfile).toContain(`\nUSER ${ownImage('.').user}\n`);
  expect(dockerfile).toContain(`\nENTRYPOINT ${JSON.stringify(ownImage('.').entrypoint).replaceAll(',', ', ')}\n`);
  expect([...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)).toEqual([
    otherImages.node,
    otherImages.node,
  ]);
});
