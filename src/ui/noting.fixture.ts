import { plain } from '../base/words.ts';
import { completeReporter, type Reporter } from './reporter.ts';

/** Notes what a person would be told; the end of a live line begins with `done` or `FAILED`. */
export function notingReporter(said: string[]): Reporter {
  return completeReporter({
    line: (text) => said.push(plain(text)),
    warn: (text) => said.push(plain(text)),
    debug: () => undefined,
    begin: (text) => ({
      update: () => undefined,
      done: (final) => said.push(`done ${final ?? text}`),
      fail: (final) => said.push(`FAILED ${final ?? text}`),
    }),
  });
}
