import type { Command } from 'commander';
import { parseSpec } from '../config/parse.ts';
import { allImages } from '../plane/all-images.ts';
import { unknownComponents } from '../plane/component-problems.ts';
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
}

function run(command: Command): void {
  const options = command.opts<{ file?: string; output: string }>();
  // No image depends on the name.
  const given = { host: 'k.example.com', ...readClusterFile(options.file).spec, ...specFromOptions(command) };
  const spec = parseSpec(
    given,
    options.file ? `in ${options.file} or on the command line` : 'on the command line',
    unknownComponents,
  );
  const images = allImages(spec);
  print(options, images, () => [...new Set(images.map(({ image }) => image))].join('\n'));
}
