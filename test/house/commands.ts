import { readdirSync } from 'node:fs';
import { Command } from 'commander';

/** What somebody types, `backup create` among them, also the commands that only have others below them. */
export interface Typed {
  name: string;
  /** Long, as they are typed: `--namespace`. */
  flags: string[];
  /** It has no commands below it. */
  runs: boolean;
  /** For programs of k8sk8s' own: no help shows it. */
  hidden: boolean;
}

function typed(command: Command, name: string, above: boolean): Typed[] {
  const hidden = above || Boolean((command as Command & { _hidden?: boolean })._hidden);
  const flags = command.options.flatMap(({ long, hidden }) => (long && !hidden ? [long] : []));
  return [
    { name, flags, runs: command.commands.length === 0, hidden },
    ...command.commands.flatMap((child) => typed(child, `${name} ${child.name()}`, hidden)),
  ];
}

const all = await Promise.all(
  readdirSync('src/commands').map(async (file) => {
    const [, name] = /^([\w-]+)\.ts$/.exec(file) ?? [];
    if (name === undefined) return [];
    const { configure } = (await import(`../../src/commands/${name}.ts`)) as { configure(of: Command): void };
    const command = new Command(name);
    configure(command);
    return typed(command, command.name(), false);
  }),
);

export const commands: Typed[] = all.flat();
