import { availableParallelism } from 'node:os';
import path from 'node:path';
import { defineConfig } from 'vitest/config';
import { textsForVitest } from './bundle.mjs';
import { E2eOrder, places } from './test/e2e/order.ts';

// Projects from the fastest to the slowest; `npm run test:unit` runs the first two in seconds. In those with servers a test that failed is
// tried once more, and test/closing-line.ts names it.
export default defineConfig({
  plugins: [textsForVitest()],
  test: {
    reporters: ['default', './test/closing-line.ts'],
    sequence: { sequencer: E2eOrder },
    // Taking the sandbox down; vitest ends the process when it takes longer than this.
    teardownTimeout: 120_000,
    // Vitest's own choice is one file at a time on two processors; most tests of an API server wait for it.
    maxWorkers: Math.max(4, availableParallelism()),
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'test/bench/**/*.test.ts',
            'test/conformance/**/*.test.ts',
            'test/faults/**/*.test.ts',
            'test/house/**/*.test.ts',
            'test/streams/**/*.test.ts',
          ],
          testTimeout: 60_000,
        },
      },
      {
        // Programs are bundled anew at every build: words stand in their place, so that hashes of what holds them stay.
        plugins: [textsForVitest((entry) => `THE PROGRAM ${path.basename(path.dirname(entry))}\n`)],
        test: { name: 'golden', include: ['test/golden/**/*.test.ts'], testTimeout: 60_000 },
      },
      { extends: true, test: { name: 'cli', include: ['test/cli/**/*.test.ts'], testTimeout: 120_000 } },
      {
        extends: true,
        test: {
          name: 'api',
          include: ['test/api/**/*.test.ts'],
          globalSetup: ['test/api/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 240_000,
          retry: 1,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/global-setup.ts'],
          // One sandbox on a small box: turn.ts lets two or three files run at a time, of all that wait in the order of test/e2e/order.ts.
          setupFiles: ['test/e2e/turn.ts'],
          // Those that wait for the workers or the operator keep no other one from its place.
          maxWorkers: places + 12,
          sequence: { groupOrder: 1 },
          testTimeout: 300_000,
          hookTimeout: 600_000,
          retry: 1,
        },
      },
    ],
  },
});
