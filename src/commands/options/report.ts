import { CommanderError } from 'commander';
import { UserError } from '../../base/errors.ts';
import { toolVersion } from '../../base/version.ts';
import { explainCallError } from '../../kube/errors.ts';
import { coloursFor } from '../../ui/colours.ts';
import { printable, printableLines } from '../../ui/printable.ts';
import { explained } from '../../ui/words.ts';

const documentation = 'docs/checks.md';

/**
 * Says on stderr what went wrong: what, why, what to do.
 *
 * @returns the process's exit code: 0 for help, 1 for what was begun and failed, 2 for what was not begun
 */
export function reportError(error: unknown, argv: string[]): number {
  if (error instanceof CommanderError) return reportUsage(error);
  const known = explainCallError(error, 'do what was asked');
  const colour = coloursFor(process.stderr);
  if (known instanceof UserError) {
    process.stderr.write(`${colour.red('ERROR')} ${printableLines(explained(known))}\n`);
    process.stderr.write(colour.dim(`  see: ${documentation}#${known.anchor}\n`));
    return known.kind === 'failed' ? 1 : 2;
  }
  if (known instanceof Error && known.name === 'AbortError') {
    process.stderr.write('interrupted\n');
    return 1;
  }
  process.stderr.write(
    `${colour.red('ERROR')} this is a bug of k8sk8s ${toolVersion()}: ${printableLines(known instanceof Error ? known.message : String(known))}\n`,
  );
  if (argv.includes('--verbose') && known instanceof Error)
    process.stderr.write(`${printableLines(known.stack ?? '')}\n`);
  else process.stderr.write('  do:  run the command again with --verbose and report what it prints\n');
  return 1;
}

/** @param error of the command line, with `usageOf`, the command that it is about: `k8sk8s token revoke` */
function reportUsage(error: CommanderError & { usageOf?: string }): number {
  if (error.exitCode === 0) return 0;
  if (error.code === 'commander.help') return 2;
  const words = error.message
    .replace(/^error: /, '')
    .split('\n')
    .join(' ');
  const help = `${error.usageOf ? `${error.usageOf} ` : ''}--help`;
  process.stderr.write(
    `${coloursFor(process.stderr).red('ERROR')} ${printable(words)}\n  do:  ${help} shows what there is\n`,
  );
  return 2;
}
