import { type AcknowledgedReport, checkAcknowledgedWrites } from './acknowledged.ts';
import { tryBadServers } from './bad-servers.ts';
import { type ClockReport, outlive } from './clock.ts';
import { killCommand, steppedNames } from './command-kills.ts';
import { runEveryChange, runEveryLook } from './every-command.ts';
import { type KillExtent, type KillReport, killDeploys, killDestroys } from './kill-points.ts';
import { type MatrixExtent, type MatrixReport, runMatrix } from './matrix.ts';
import type { Place } from './place.ts';
import type { FaultReport, Faults, Part } from './report.ts';
import { SecretSearch } from './secrets.ts';

export const partNames = ['kills', 'matrix', 'servers', 'writes', 'clock', 'secrets'] as const;
export type PartName = (typeof partNames)[number];

/** Commands that are killed. */
export const killedNames = ['deploy', 'destroy', ...steppedNames] as const;
export type KilledName = (typeof killedNames)[number];

export interface Extent {
  parts: readonly PartName[];
  kills: KillExtent & { commands: readonly KilledName[]; random(): () => number };
  matrix: MatrixExtent & { random(): () => number };
  /** How many bad servers at most. */
  servers: number;
  /** How often each component of a plane is killed while clients write to it. */
  rounds: number;
  /** How often an infra node dies meanwhile, with all pods on it. */
  nodeDeaths: number;
  /** Whether volumes of etcd are filled meanwhile. */
  fullVolumes: boolean;
}

/**
 * Runs the chosen parts one after the other, on one namespace that is empty before and after, and adds the result of each part
 * as soon as the part has ended.
 */
export async function runFaults(
  place: Place,
  sandbox: string,
  extent: Extent,
  faults: Faults,
  { parts, details }: Pick<FaultReport, 'parts' | 'details'>,
): Promise<void> {
  const search = new SecretSearch(place);
  if (extent.parts.includes('secrets')) search.watchProcesses();
  const clean = await place.destroy();
  if (clean.code !== 0) throw new Error(`the namespace cannot be emptied:\n${clean.stderr}`);
  if (extent.parts.includes('kills'))
    for (const name of extent.kills.commands) {
      if (faults.isOver()) break;
      // Each part has its own random numbers, so that a sample does not depend on the parts before.
      const report = await kill(place, name, extent.kills, { ...faults, random: extent.kills.random() });
      details[`${name} killed`] = report;
      parts.push(partOf(report));
    }
  if (extent.parts.includes('matrix') && !faults.isOver()) {
    const report = await runMatrix(place, extent.matrix, { ...faults, random: extent.matrix.random() });
    details.matrix = report;
    parts.push(partOfMatrix(report));
  }
  if (extent.parts.includes('servers')) {
    const report = await tryBadServers(place, extent.servers, faults);
    details['bad servers'] = report;
    parts.push({
      name: 'bad servers between the CLI and the infra API',
      figures: [
        `${report.tried} commands: ${report.succeeded} succeeded, ${report.stoppedClearly} stopped with a clear error`,
        `${report.recovered} of ${report.rows.length} planes completed and destroyed when the server was good again`,
        ...report.rows.map(({ server, deploy, destroy }) => `${server}: deploy ${deploy}; destroy ${destroy}`),
      ],
      findings: report.findings,
      seconds: report.seconds,
    });
  }
  if (extent.parts.includes('writes')) {
    const report = await checkAcknowledgedWrites(place, sandbox, extent, faults);
    details['acknowledged writes'] = report;
    parts.push(partOfWrites(report));
  }
  if (extent.parts.includes('clock') && !faults.isOver()) {
    const report = await outlive(place, sandbox, faults);
    details.clock = report;
    parts.push(partOfClock(report));
  }
  if (extent.parts.includes('secrets')) {
    const started = Date.now();
    search.watchPods();
    await place.deploy();
    await search.collect();
    await runEveryLook(place);
    await runEveryChange(place, search);
    await place.destroy();
    const report = await search.report();
    details.secrets = report;
    parts.push({
      name: 'secrets in output',
      figures: [
        `${report.findings.length} found: ${report.needles} keys and tokens looked for in ${report.texts} texts of ${Math.round(report.characters / 1000)} kB (output, events, logs of ${report.logs.length} containers) and ${report.processes} command lines`,
      ],
      findings: report.findings,
      seconds: (Date.now() - started) / 1000,
    });
  }
}

function kill(place: Place, name: KilledName, extent: KillExtent, faults: Faults): Promise<KillReport> {
  if (name === 'deploy') return killDeploys(place, extent, faults);
  if (name === 'destroy') return killDestroys(place, extent, faults);
  return killCommand(place, name, extent, faults);
}

function partOf(report: KillReport): Part {
  return {
    name: `${report.command} killed after a call`,
    figures: [
      `${report.tried} points tried of ${report.known}, ${report.converged} converged${report.shared > 0 ? ` (${report.shared} of them left nothing to converge and shared a run)` : ''}`,
      `${(report.seconds / Math.max(1, report.tried)).toFixed(1)} s a point`,
      ...(report.next < report.sample
        ? [`${report.next} of the sample's ${report.sample} tried so far: --skip ${report.next} goes on`]
        : []),
      ...(report.missed.length > 0 ? [`calls that were not made this time: ${report.missed.join(', ')}`] : []),
    ],
    findings: report.findings,
    seconds: report.seconds,
  };
}

function partOfMatrix(report: MatrixReport): Part {
  return {
    name: 'an operation is killed, another one runs, and the first runs again',
    figures: [
      `${report.tried} of ${report.pairs} pairs tried, ${report.good} good`,
      `${(report.seconds / Math.max(1, report.tried)).toFixed(1)} s a triple`,
      ...report.rows,
      ...report.refused.map((each) => `refused: ${each}`),
    ],
    findings: report.findings,
    seconds: report.seconds,
  };
}

function partOfWrites(report: AcknowledgedReport): Part {
  const servers = Object.entries(report.servers).map(([server, calls]) => `${calls} by ${server}`);
  return {
    name: 'acknowledged writes under faults, with three members of etcd and two pods of every other component',
    figures: [
      `${report.acknowledged} writes acknowledged: ${report.lost.length} lost, ${report.stale.length} reads stale, ${report.resurrected.length} deleted objects back`,
      `${report.operations} calls on ${report.keys} keys judged, ${report.broken.length} keys without a possible order, ${report.undecided.length} undecided; ${report.unanswered} calls without an answer`,
      `answered: ${servers.join(', ')}`,
      ...Object.entries(report.faults).map(
        ([name, { times, longestGap }]) =>
          `${name}: ${times} times, at most ${longestGap.toFixed(1)} s without an acknowledged write`,
      ),
    ],
    findings: report.findings,
    seconds: report.seconds,
  };
}

function partOfClock(report: ClockReport): Part {
  return {
    name: 'all certificates end while clients write',
    figures: [
      `${report.acknowledged} writes acknowledged, ${report.before} of them before the end: ${report.lost.length} lost, ${report.stale.length} reads stale, ${report.resurrected.length} deleted objects back`,
      `writes came back ${report.back?.toFixed(1) ?? 'not within 60'} s after deploy ${report.back === undefined ? 'had ended' : 'began'}`,
    ],
    findings: report.findings,
    seconds: report.seconds,
  };
}
