import type { Reporter } from './reporter.ts';

/** For work that nobody watches. */
export const quietReporter: Reporter = {
  line: () => undefined,
  warn: () => undefined,
  debug: () => undefined,
  begin: () => ({ update: () => undefined, done: () => undefined, fail: () => undefined }),
};
