import { expect, test } from 'vitest';
import { runSteps, type StepTime } from './steps.ts';

const step = (name: string, run: () => void = () => undefined) => ({
  name,
  run: async (done: string[]) => {
    run();
    done.push(name);
  },
});

test('steps run in their order, and one that does not apply is left out', async () => {
  const done: string[] = [];
  const times: StepTime[] = [];
  const steps = [step('one'), { ...step('two'), applies: () => false }, step('three')];
  await runSteps(steps, done, new AbortController().signal, times);
  expect(done).toEqual(['one', 'three']);
  expect(times.map(({ name }) => name)).toEqual(['one', 'three']);
});

test('a signal ends the work between two steps', async () => {
  const done: string[] = [];
  const stop = new AbortController();
  const steps = [step('one', () => stop.abort(new Error('interrupted'))), step('two')];
  await expect(runSteps(steps, done, stop.signal)).rejects.toThrow('interrupted');
  expect(done).toEqual(['one']);
});

test('a step that fails is timed, and none comes after it', async () => {
  const times: StepTime[] = [];
  const fails = step('fails', () => {
    throw new Error('no');
  });
  await expect(runSteps([fails, step('never')], [], new AbortController().signal, times)).rejects.toThrow('no');
  expect(times.map(({ name }) => name)).toEqual(['fails']);
});
