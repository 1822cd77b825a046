import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

// What Dockerfile.worker runs, in a folder in the place of the image and with programs in the place of Alpine's.

const dockerfile = readFileSync('Dockerfile.worker', 'utf8');
const [, command] = /^RUN ((?:.*\\\n)*.*)$/m.exec(dockerfile)!;

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'worker-image-'));
  for (const folder of ['usr/local/bin', 'tmp']) mkdirSync(path.join(root, folder), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

/** @param kubelet the program that the release has */
function build(env: Record<string, string>, kubelet: string) {
  const programs = `
apk() { [ "$1" != --print-arch ] || echo aarch64; }
find() { echo /dev/null; }
wget() {
  echo "$2"
  case $2 in
    *.sha256) sha256sum "$root/usr/local/bin/kubelet" | cut -d ' ' -f 1 ;;
    *) printf '#!/bin/sh\\n%s\\n' '${kubelet}' ;;
  esac >"$4"
}
`;
  const inRoot = command!.replaceAll(/(?<=[\s"])\/(?=(opt|etc|tmp|usr\/local)\/)/g, '$root/');
  const { status, stdout } = spawnSync('sh', ['-c', `${programs}${inRoot}`], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, root, KUBERNETES_VERSION: '1.36.3', ...env },
  });
  return { status, stdout };
}

test.each([
  ['that the builder says', { TARGETARCH: 's390x' }, 's390x'],
  ['of the image, where the builder says none', {}, 'arm64'],
])('the kubelet is for the architecture %s', (_, env, architecture) => {
  const { status, stdout } = build(env, 'echo started');
  expect(status).toBe(0);
  expect(stdout).toContain(`/linux/${architecture}/kubelet`);
  expect(stdout).toContain('started');
  // With a default the builder would take that for every platform (https://github.com/docker/buildx/issues/510).
  expect(dockerfile).toMatch(/^ARG TARGETARCH$/m);
});

test('an image whose kubelet does not start is none', () => {
  expect(build({}, 'exit 127').status).not.toBe(0);
});
