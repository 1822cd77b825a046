import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { inHostedCluster } from '../../live/open.ts';
import { type TestRow, testRows } from '../../plane/networks/test-rows.ts';
import type { Work } from '../../ui/work.ts';
import { isOfPlane, isPossible, rows } from './rows.ts';
import { RowFailure, type TestSetup } from './setup.ts';
import { removeTestSetup, type TestOptions, withTestSetup } from './test-pods.ts';

type RowState = 'passed' | 'failed' | 'not supported';

export interface RowResult {
  row: TestRow;
  state: RowState;
  /** What was seen, or the cause. */
  detail: string;
  /** The row that failed before it, of which its failure follows. */
  because?: TestRow;
  seconds: number;
}

export interface NetworkTestResult {
  network: string;
  workers: string[];
  rows: RowResult[];
  /** Rows that one worker has no use for. */
  leftOut: TestRow[];
  passed: boolean;
}

/**
 * Tries the network of a hosted cluster from pods on its workers, and takes everything away that it made there, also when it is
 * killed.
 *
 * @throws UserError `network-test` when the pods cannot be started, and as inHostedCluster
 */
export async function testNetwork(cluster: InfraCluster, options: TestOptions, work: Work): Promise<NetworkTestResult> {
  return inHostedCluster(cluster, async (plane, hosted) => {
    await removeTestSetup(hosted, work);
    return withTestSetup({ cluster, plane, hosted, options }, work, async (setup) => {
      const all = testRows.filter((row) => isOfPlane(row, setup));
      const possible = all.filter((row) => isPossible(row, setup));
      const results: RowResult[] = [];
      const tryAll = async (phase: { update(text: string): void }) => {
        for (const row of possible) {
          phase.update(row);
          results.push(await tried(setup, row, results));
        }
      };
      await work.reporter.during('Trying the network', tryAll, () => `${results.length} rows tried`);
      return {
        network: plane.spec.childAssets ? plane.spec.network : 'none',
        workers: setup.workers.map(({ name }) => name),
        rows: results,
        leftOut: all.filter((row) => !possible.includes(row)),
        passed: results.every(({ state }) => state !== 'failed'),
      };
    });
  });
}

async function tried(setup: TestSetup, row: TestRow, before: RowResult[]): Promise<RowResult> {
  const started = performance.now();
  const declared = setup.driver.notSupported.includes(row);
  const judged = await rows[row].run(setup).then(
    (seen) => stateOfRow(declared, { seen }),
    (error) => {
      if (!(error instanceof RowFailure)) throw error;
      const failed = before.filter(({ state }) => state === 'failed').map((each) => each.row);
      return stateOfRow(declared, {
        failure: error.message,
        because: rows[row].needs.find((need) => failed.includes(need)),
      });
    },
  );
  return { row, ...judged, seconds: Math.round((performance.now() - started) / 100) / 10 };
}

/** What a row comes to. A driver that is broken says nothing about what it can do. Pure. @param declared the driver says that it cannot */
export function stateOfRow(
  declared: boolean,
  outcome: { seen: string } | { failure: string; because?: TestRow },
): Pick<RowResult, 'state' | 'detail' | 'because'> {
  if ('seen' in outcome)
    return declared
      ? {
          state: 'failed',
          detail: `it passed (${outcome.seen}), and the driver's folder says that it is not supported: take it out there`,
        }
      : { state: 'passed', detail: outcome.seen };
  const { failure: detail, because } = outcome;
  if (declared && because === undefined) return { state: 'not supported', detail };
  return { state: 'failed', detail, ...(because && { because }) };
}
