import type { Command } from 'commander';
import { parseSpec } from '../config/parse.ts';
import type { ClusterSpec, ClusterSpecInput } from '../config/schema.ts';
import { allImages } from '../plane/all-images.ts';
import { unknownComponents } from '../plane/component-problems.ts';
import { copiesInto, copyScript } from '../plane/copy-images.ts';
import { readClusterFile } from './options/cluster-file.ts';
import { outputOption } from './options/connection.ts';
import { print } from './options/print.ts';
import { addSpecOptions, specFromOptions } from './options/spec-options.ts';

export function configure(command: Command): void {
  const list = command
    .command('list')
    .description('the images of a plane with these options, one a line, for a registry without internet')
    .helpOption('--help', 'show help');
  addSpecOptions(list);
  list
    .option('-f, --file <FILE>', 'read options from a cluster.yaml; those of the command line take precedence')
    .addOption(outputOption())
    .action((_, self: Command) => run(self));
  const pull = command
    .command('pull')
    .description('print a script that copies the images of a plane with these options into a registry of yours')
    .helpOption('--help', 'show help')
    .requiredOption('--to <REGISTRY>', 'the registry, as --image-registry has it');
  addSpecOptions(pull);
  pull
    .option('-f, --file <FILE>', 'read options from a cluster.yaml; those of the command line take precedence')
    .action((_, self: Command) => printCopies(self));
}

function run(command: Command): void {
  const options = command.opts<{ file?: string; output: string }>();
  const images = allImages(specOf(command));
  print(options, images, () => [...new Set(images.map(({ image }) => image))].join('\n'));
}

function printCopies(command: Command): void {
  const { to } = command.opts<{ to: string }>();
  process.stdout.write(copyScript(copiesInto(to, specOf(command, { imageRegistry: to }))));
}

function specOf(command: Command, more: Partial<ClusterSpecInput> = {}): ClusterSpec {
  const options = command.opts<{ file?: string }>();
  // No image depends on the name.
  const given = { host: 'k.example.com', ...readClusterFile(options.file).spec, ...specFromOptions(command), ...more };
  return parseSpec(
    given,
    options.file ? `in ${options.file} or on the command line` : 'on the command line',
    unknownComponents,
  );
}
