import type { Command } from 'commander';
import { toolVersion } from '../base/version.ts';
import { diffPlane, type PlaneDiff } from '../drift/plane-diff.ts';
import { nameOf } from '../kube/objects.ts';
import type { FieldDifference } from '../live/differences.ts';
import { addConnectionOptions, type ConnectionOptions, outputOption, withInfra } from './options/connection.ts';
import { print } from './options/print.ts';

export function configure(command: Command): void {
  addConnectionOptions(command).addOption(outputOption()).action(run);
}

/** Exit code 1 when something differs, or could not be compared. */
async function run(options: ConnectionOptions & { output: string }): Promise<void> {
  await withInfra(options, async (cluster) => {
    const diff = await diffPlane(cluster);
    print(options, diff, () => renderDiff(diff, toolVersion()));
    if (diff.differences.length > 0 || diff.unknown !== undefined) process.exitCode = 1;
  });
}

/** The difference as people read it: `-` is what is there, `+` what deploy puts in its place. Pure. */
export function renderDiff(diff: PlaneDiff, toolVersion: string): string {
  const lines = diff.differences.flatMap((object) => [
    `${object.cluster === 'hosted' ? 'hosted cluster: ' : ''}${object.namespace ? `${object.namespace} ` : ''}${nameOf({ kind: object.kind, metadata: object })} ${object.state === 'missing' ? 'is missing' : 'differs'}`,
    ...object.fields.flatMap(renderField),
  ]);
  const count = diff.differences.length;
  return [
    ...lines,
    ...(diff.asleep ? ['The plane sleeps, so the objects of its hosted cluster are not compared.'] : []),
    ...(diff.unknown ? [`The hosted cluster cannot be asked, so its objects are not compared: ${diff.unknown}`] : []),
    ...(diff.deployedBy === toolVersion || count === 0
      ? []
      : [`The plane was deployed by k8sk8s ${diff.deployedBy}; this one, ${toolVersion}, may want other things.`]),
    count === 0
      ? `All ${diff.compared} objects${diff.unknown || diff.asleep ? ' of the infra cluster' : ''} are as recorded.`
      : `${count} of ${diff.compared} objects differ. To put them back${diff.asleep ? ', and wake the plane' : ''}: k8sk8s deploy -n ${diff.namespace}`,
  ].join('\n');
}

function renderField(field: FieldDifference): string[] {
  const { path, live, recorded } = field;
  if (!('live' in field)) return [`  ${path}: not what it should be (the values of Secrets are not shown)`];
  if (Array.isArray(live) && Array.isArray(recorded)) {
    const [gone, added] = [without(live, recorded), without(recorded, live)];
    if (gone.length + added.length > 0)
      return [
        `  ${path}:`,
        ...gone.map((item) => `    - ${oneLine(item)}`),
        ...added.map((item) => `    + ${oneLine(item)}`),
      ];
  }
  return [
    `  ${path}:`,
    ...(live === undefined ? [] : [`    - ${oneLine(live)}`]),
    ...(recorded === undefined ? [] : [`    + ${oneLine(recorded)}`]),
  ];
}

function without(items: unknown[], others: unknown[]): unknown[] {
  const known = new Set(others.map((item) => JSON.stringify(item)));
  return items.filter((item) => !known.has(JSON.stringify(item)));
}

/** A value in one line that fits a terminal; a program in a ConfigMap does not. */
function oneLine(value: unknown): string {
  const text = typeof value === 'string' && /^[^\s"'][^\n]*$/.test(value) ? value : JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 120)}… (${text.length} characters)` : text;
}
