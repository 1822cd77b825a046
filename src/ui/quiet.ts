import { completeReporter } from './reporter.ts';

/** For work that nobody watches. */
export const quietReporter = completeReporter({
  line: () => undefined,
  warn: () => undefined,
  debug: () => undefined,
  begin: () => ({ update: () => undefined, done: () => undefined, fail: () => undefined }),
});
