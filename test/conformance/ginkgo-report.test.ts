import { expect, test } from 'vitest';
import { readReport, suiteFailures } from './ginkgo-report.ts';

const it = (text: string, State: string, Failure?: { Message: string }) => ({
  ContainerHierarchyTexts: ['[sig-apps] Thing'],
  LeafNodeType: 'It',
  LeafNodeText: text,
  State,
  RunTime: 12_340_000_000,
  Failure,
});
const report = (...SpecReports: object[]) => JSON.stringify([{ SuiteSucceeded: false, SpecReports }]);

test('results of the chosen specs, with the first words of a failure', () => {
  const dump =
    'waiting for pod: Told to stop trying after 30.1s.\n    <*errors.errorString>: {\n        s: "pod ran to completion",\n    }';
  const text = report(
    it('works', 'passed'),
    it('fails', 'failed', { Message: dump }),
    it('hangs', 'timedout', { Message: 'A suite timeout occurred' }),
    it('needs three nodes', 'skipped', { Message: 'Requires at least 3 nodes (not 2)' }),
    it('was stopped', 'interrupted', { Message: 'Interrupted by User' }),
    it('was not chosen', 'skipped'),
  );
  const names = ['works', 'fails', 'hangs', 'needs three nodes', 'was stopped'].map(
    (name) => `[sig-apps] Thing ${name}`,
  );
  expect(Object.fromEntries(readReport(text, new Set(names)))).toEqual({
    '[sig-apps] Thing works': { outcome: 'passed', seconds: 12.3 },
    '[sig-apps] Thing fails': {
      outcome: 'failed',
      seconds: 12.3,
      cause: 'waiting for pod: Told to stop trying after 30.1s. s: "pod ran to completion",',
    },
    '[sig-apps] Thing hangs': { outcome: 'failed', seconds: 12.3, cause: 'A suite timeout occurred' },
    '[sig-apps] Thing needs three nodes': {
      outcome: 'skipped',
      seconds: 12.3,
      cause: 'Requires at least 3 nodes (not 2)',
    },
  });
});

test('when the suite could not begin, the cause is in the results', () => {
  const failed = {
    LeafNodeType: 'SynchronizedBeforeSuite',
    LeafNodeText: '',
    State: 'failed',
    Failure: { Message: 'no nodes' },
  };
  expect(
    suiteFailures(report({ ContainerHierarchyTexts: null, RunTime: 0, ...failed }, it('works', 'failed'))),
  ).toEqual(['SynchronizedBeforeSuite: no nodes']);
});
