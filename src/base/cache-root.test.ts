import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cacheRoot } from './cache-root.ts';

test('the cache folder follows K8SK8S_CACHE, then XDG_CACHE_HOME, then the home folder', () => {
  expect(cacheRoot({ K8SK8S_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
  expect(cacheRoot({ XDG_CACHE_HOME: '/b' })).toBe('/b/k8sk8s');
  expect(cacheRoot({ XDG_CACHE_HOME: 'relative' })).toBe(join(homedir(), '.cache/k8sk8s'));
  expect(cacheRoot({})).toBe(join(homedir(), '.cache/k8sk8s'));
});
