import path from 'node:path';
import type { Reporter, TestModule, Vitest } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Seconds that a project's global setup and teardown took, by what they did. */
    seconds: Record<string, number>;
  }
}

/** Seconds of a run from which on it is told where they went. */
const longRun = 60;

const secondTry = 'Passed at the second try, which is a fault of the test or of k8sk8s:';

/**
 * Closes a run with `N passed, N failed`, last and alone on its line, and says skipped tests aloud. A file that could not be loaded
 * is a failure, and so is everything else that makes vitest exit with another code than 0. Before that it names the tests that passed
 * at the second try alone, and a long run tells where its seconds went.
 */
export default class ClosingLine implements Reporter {
  #vitest: Vitest | undefined;
  #modules: readonly TestModule[] = [];
  #errors = 0;
  /** Milliseconds at which the first file of a project began and the last one ended. */
  readonly #spans = new Map<string, { from: number; to: number }>();
  readonly #started = Date.now();

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
    // Later than the teardown of the projects, which has something to say too, and may fail.
    process.once('exit', (code) => this.#close(code));
  }

  onTestModuleStart({ project }: TestModule): void {
    if (!this.#spans.has(project.name)) this.#spans.set(project.name, { from: Date.now(), to: Date.now() });
  }

  onTestModuleEnd({ project }: TestModule): void {
    const span = this.#spans.get(project.name);
    if (span) span.to = Date.now();
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    this.#modules = modules;
    this.#errors = errors.length;
  }

  #close(code: number): void {
    const count = { passed: 0, failed: this.#errors, skipped: 0 };
    for (const module of this.#modules) {
      if (module.state() === 'failed' && module.errors().length > 0) count.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed' || state === 'failed' || state === 'skipped') count[state]++;
      }
    }
    if (code !== 0 && count.failed === 0) count.failed = 1;
    const unsteady = this.#unsteady();
    if (unsteady.length > 0) console.log([secondTry, ...unsteady].join('\n'));
    const total = (Date.now() - this.#started) / 1000;
    if (total > longRun) console.log(this.#seconds(total));
    console.log(
      `${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ''}`,
    );
  }

  /** Tests that passed at the second try, each with what it said at the first. */
  #unsteady(): string[] {
    return this.#modules.flatMap((module) =>
      [...module.children.allTests()]
        .filter((test) => test.diagnostic()?.flaky)
        .map((test) => {
          const [first] = test.result().errors ?? [];
          return `  ${nameOf(module)}: ${test.fullName}: ${(first?.message ?? 'no error').split('\n')[0]}`;
        }),
    );
  }

  #seconds(total: number): string {
    const projects = [...this.#spans].map(([name, { from, to }]) => `${name} ${told((to - from) / 1000)}`);
    const around = this.#vitest!.projects.flatMap((project) =>
      Object.entries(project.getProvidedContext().seconds ?? {}).map(([what, seconds]) => `${what} ${told(seconds)}`),
    );
    const files = this.#modules.map((module) => ({
      name: nameOf(module),
      seconds: module.diagnostic().duration / 1000,
    }));
    const tests = this.#modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => ({
        name: `${nameOf(module)}: ${test.fullName}`,
        seconds: (test.diagnostic()?.duration ?? 0) / 1000,
      })),
    );
    return [
      `Where ${told(total)} went: ${[...projects, ...around].join(', ')} (projects but e2e run beside each other)`,
      'The slowest files, with their hooks:',
      ...slowest(files),
      'The slowest tests:',
      ...slowest(tests),
    ].join('\n');
  }
}

const nameOf = ({ moduleId }: TestModule) => path.relative(process.cwd(), moduleId);

const told = (seconds: number) => `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;

function slowest(each: { name: string; seconds: number }[]): string[] {
  return each
    .sort((one, other) => other.seconds - one.seconds)
    .slice(0, 10)
    .map(({ name, seconds }) => `${told(seconds).padStart(8)}  ${name}`);
}
