import { expect, test } from 'vitest';
import { type ClassReport, courseOf, renderClass } from './class.ts';
import { machineState } from './machine.ts';

test('the lines of a class command tell how long each plane took, and which was tried again', () => {
  const lines = [
    { at: 100, text: '2 planes are to get pods: 8' },
    { at: 200, text: 's01: deploying' },
    { at: 210, text: 's02: deploying' },
    { at: 900, text: 's01: failed: not available' },
    { at: 1000, text: 's02: created' },
    { at: 1100, text: 's01: deploying' },
    { at: 2200, text: 's01: created' },
  ];
  expect(courseOf({ lines, milliseconds: 2300 }, 'created')).toEqual({
    milliseconds: 2300,
    eachMs: [790, 2000],
    triedAgain: 1,
  });
});

test('the report tells the answers of a lesson that begins, and whether they came in time', () => {
  const nothing = { name: '', anonymousMiB: 0, residentMiB: 0, millicores: 60 };
  const course = { milliseconds: 90_000, eachMs: [8000, 9000, 12_000], triedAgain: 0 };
  const report: ClassReport = {
    machine: machineState('1.37.2'),
    students: 3,
    parallel: 2,
    options: [],
    floorMs: [4000],
    create: course,
    sleepMs: 20_000,
    wake: { ...course, answersMs: [8000, 60_000, 200_000] },
    end: { milliseconds: 20_000, left: 0 },
    planes: nothing,
    runtime: nothing,
    availableMiB: { before: 900, awake: 300, asleep: 800 },
  };
  expect(renderClass(report)).toMatch(
    /first answer +8\.0 s +2\.0\n.*middle answer +60\.0 s.*\n.*last answer +200\.0 s/,
  );
  expect(renderClass(report)).toMatch(/: kept\n/);
  expect(renderClass(report)).toMatch(/millicores +60\.0 +20\.0/);
  const late = { ...report, wake: { ...course, answersMs: [11_000, 60_000, 200_000] } };
  expect(renderClass(late)).toContain('not kept');
});
