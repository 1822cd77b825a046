/** A command of a systemd unit. */
export interface UnitCommand {
  command: string[];
  /** The service starts all the same when it fails: `ExecStartPre=-…`. */
  mayFail: boolean;
}

/**
 * What systemd would run for a unit of worker.sh: its commands are words without quotes and variables. Pure.
 *
 * @throws Error for a unit without ExecStart
 */
export function commandsOf(unit: string): { before: UnitCommand[]; start: string[] } {
  const lines = unit.replaceAll(/\\\n\s*/g, '').matchAll(/^(ExecStartPre|ExecStart)=(-?)(.+)$/gm);
  const commands = [...lines].map(([, name, minus, text]) => ({
    name,
    command: text!.trim().split(/\s+/),
    mayFail: minus === '-',
  }));
  const start = commands.find(({ name }) => name === 'ExecStart')?.command;
  if (!start) throw new Error('the unit has no ExecStart');
  const before = commands.filter(({ name }) => name === 'ExecStartPre');
  return { before: before.map(({ command, mayFail }) => ({ command, mayFail })), start };
}
