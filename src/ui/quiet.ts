import { withDuring } from './reporter.ts';

/** For work that nobody watches. */
export const quietReporter = withDuring({
  line: () => undefined,
  warn: () => undefined,
  debug: () => undefined,
  begin: () => ({ update: () => undefined, done: () => undefined, fail: () => undefined }),
});
