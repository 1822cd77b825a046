import type { Result, Results, Side } from './results.ts';
import type { Spec } from './specs.ts';

export interface Facts {
  /** `2 processors, 24 GiB, Linux 6.1, cgroup v1`. */
  box: string;
  /** Images that the suite names and that could not be made here. */
  missingImages: string[];
}

type Count = Record<Result['outcome'] | 'not run', number>;

/** Specs by outcome. */
export function count(specs: Spec[], results: Results): Count {
  const counts: Count = { passed: 0, failed: 0, skipped: 0, 'not run': 0 };
  for (const { name } of specs) counts[results.specs[name]?.outcome ?? 'not run']++;
  return counts;
}

/** The whole report in Markdown: a table by SIG, every failure with its cause, what was not run, and when it all was. */
export function markdown(specs: Spec[], hosted: Results, reference: Results, facts: Facts): string {
  const failed = specs.filter(({ name }) => hosted.specs[name]?.outcome === 'failed');
  const sections = [
    `## Kubernetes ${hosted.version}, deployed with ${hosted.options.length > 0 ? `\`${hosted.options.join(' ')}\`` : 'default options'}`,
    bySig(specs, hosted, reference),
    failed.length > 0 ? `### Failed on the hosted cluster\n\n${failures(failed, hosted, reference)}` : '',
    notRun(specs, hosted),
    `### When, and on what\n\n${facts.box}.\n\n${runs(hosted, 'hosted')}${runs(reference, 'reference')}`.trimEnd(),
    facts.missingImages.length > 0
      ? `Images that the suite names for other specs, and that were not made: ${facts.missingImages.join(', ')}.`
      : '',
  ];
  return `${sections.filter(Boolean).join('\n\n')}\n`;
}

function bySig(specs: Spec[], hosted: Results, reference: Results): string {
  const row = (title: string, some: Spec[]) => {
    const counts = count(some, hosted);
    const bare = count(some, reference);
    return `| ${[title, some.length, counts.passed, counts.failed, counts.skipped + counts['not run'], `${bare.passed} of ${bare.passed + bare.failed}`].join(' | ')} |`;
  };
  const sigs = [...new Set(specs.map(({ sig }) => sig))].sort();
  return [
    '| SIG | specs | passed | failed | not run | passed on the reference, of those run there |',
    '| --- | --- | --- | --- | --- | --- |',
    ...sigs.map((sig) =>
      row(
        sig,
        specs.filter((spec) => spec.sig === sig),
      ),
    ),
    row('**all**', specs),
  ].join('\n');
}

function failures(failed: Spec[], hosted: Results, reference: Results): string {
  return [
    '| spec | cause | reference |',
    '| --- | --- | --- |',
    ...failed.map(({ name }) => {
      const there = reference.specs[name]?.outcome ?? 'not run';
      return `| ${cell(name)} | ${cell(hosted.specs[name]?.cause ?? 'unknown: the run was killed')} | ${there} |`;
    }),
  ].join('\n');
}

function notRun(specs: Spec[], hosted: Results): string {
  const skipped = specs.filter(({ name }) => hosted.specs[name]?.outcome === 'skipped');
  const absent = specs.filter(({ name }) => hosted.specs[name] === undefined);
  if (skipped.length + absent.length === 0) return '';
  return [
    '### Not run',
    '',
    ...skipped.map(({ name }) => `- ${name}: the suite itself skips it (${hosted.specs[name]!.cause})`),
    ...(absent.length > 0
      ? [
          `- ${absent.length} that the runs below did not choose or did not reach:`,
          '',
          '  <details><summary>names</summary>',
          '',
          ...absent.map(({ name }) => `  - ${name}`),
          '',
          '  </details>',
        ]
      : []),
  ].join('\n');
}

function runs({ runs: all }: Results, side: Side): string {
  return all
    .map(
      ({ started, ended, command }) =>
        `- ${side}: ${started.slice(0, 16).replace('T', ' ')} UTC to ${ended ? `${ended.slice(11, 16)} UTC` : 'an unknown end'}: \`${command}\`\n`,
    )
    .join('');
}

/** Escapes text so that it cannot end a cell of a Markdown table. */
function cell(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/\|/g, '\\|').replace(/</g, '&lt;');
}
