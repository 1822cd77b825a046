import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { dump } from 'js-yaml';
import { workerFolder } from '../access/worker-script.ts';
import { UserError } from '../base/errors.ts';
import { boxSettings } from './box-settings.ts';
import { ensureDaemon, ensureOwnFolder, inside } from './machine.ts';
import { ensureIpv6 } from './network.ts';
import { type MachineState, type SandboxState, writeIfChanged } from './state.ts';
import { commandsOf } from './unit.ts';

/**
 * Makes a machine a worker as a person would: uploads the files, lets worker.sh check and configure the machine, and starts the
 * units that it wrote. Settings that the box needs go where docs/workers.md says that a machine's own go.
 *
 * @param kubelet path of the program
 * @throws UserError `worker-check` with what worker.sh found
 */
export async function startWorker(
  state: SandboxState,
  machine: MachineState,
  uploads: string[],
  kubelet: string,
): Promise<void> {
  await ensureIpv6(state, machine);
  const etc = await ensureOwnFolder(state, machine, '/etc/kubernetes');
  const units = await ensureOwnFolder(state, machine, '/etc/systemd/system');
  for (const folder of ['tls', 'kubelet.conf.d']) mkdirSync(path.join(etc, folder), { recursive: true, mode: 0o700 });
  for (const file of uploads) copyFileSync(file, path.join(etc, 'tls', path.basename(file)));
  writeIfChanged(path.join(etc, 'kubelet.conf.d/sandbox.conf'), dump(boxSettings(state, machine)));
  await runScript(machine, kubelet, 'check');
  await runScript(machine, kubelet, 'configure');
  for (const unit of readdirSync(units)
    .filter((file) => file.endsWith('.service'))
    .sort())
    await startUnit(state, machine, path.join(units, unit));
}

/** The environment is the machine's, not that of whoever calls the sandbox. */
async function runScript(machine: MachineState, kubelet: string, subcommand: 'check' | 'configure'): Promise<void> {
  const script = `sh ${workerFolder}/worker.sh ${subcommand}; echo "ended: $?"`;
  const environment = [`PATH=${process.env.PATH}`, 'HOME=/root', `KUBELET=${kubelet}`];
  const answer = await inside(machine, ['env', '-i', ...environment, 'sh', '-c', script]);
  if (answer.endsWith('ended: 0\n')) return;
  const found = answer
    .slice(answer.search(/^FAIL/m))
    .split('\n')
    .filter((line) => /^(FAIL|WARN| )/.test(line));
  throw new UserError({
    what: `${machine.name} cannot be a worker`,
    why: `worker.sh ${subcommand} says\n${found.join('\n') || answer}`,
    fix: 'do what it says there',
    anchor: 'worker-check',
    kind: 'refused',
  });
}

/** What `systemctl start` does. */
async function startUnit(state: SandboxState, machine: MachineState, file: string): Promise<void> {
  const { before, start } = commandsOf(readFileSync(file, 'utf8'));
  for (const { command, mayFail } of before) {
    const running = inside(machine, command);
    await (mayFail ? running.catch(() => undefined) : running);
  }
  ensureDaemon(state, machine, path.basename(file, '.service'), start);
}
