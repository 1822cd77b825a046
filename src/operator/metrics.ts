import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { HostedControlPlane } from './object.ts';

/** What a leader knows; asked for when somebody reads the metrics. */
interface Leader {
  objects(): HostedControlPlane[];
  due(): number;
}

const name = (rest: string) => `k8sk8s_operator_${rest}`;

/** Figures of this operator for Prometheus. No name of a plane is among them, so anybody may read them. */
export class Metrics {
  readonly registry = new Registry();
  readonly #looks: Counter<'result'>;
  readonly #seconds: Histogram;
  readonly #drift: Counter;
  #leader?: Leader;

  constructor() {
    const registers = [this.registry];
    // Its usual 10 ms wake an idle process a hundred times a second, which takes most of what the operator takes.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
    const leader = () => this.#leader;
    new Gauge({
      name: name('leading'),
      help: 'whether this operator is the one that works',
      registers,
      collect() {
        this.set(leader() ? 1 : 0);
      },
    });
    new Gauge({
      name: name('planes'),
      help: 'HostedControlPlanes by the status of their conditions',
      labelNames: ['condition', 'status'],
      registers,
      collect() {
        this.reset();
        const conditions =
          leader()
            ?.objects()
            .flatMap(({ status }) => status?.conditions ?? []) ?? [];
        for (const { type, status } of conditions) this.inc({ condition: type, status });
      },
    });
    new Gauge({
      name: name('queue_due'),
      help: 'planes that wait for a worker',
      registers,
      collect() {
        this.set(leader()?.due() ?? 0);
      },
    });
    this.#looks = new Counter({
      name: name('looks_total'),
      help: 'looks at a plane, by how they ended: done, failed, or refused by a trial beside the plane',
      labelNames: ['result'],
      registers,
    });
    this.#seconds = new Histogram({
      name: name('look_seconds'),
      help: 'how long a look at a plane took, with all that it changed',
      buckets: [0.3, 1, 3, 10, 30, 100, 300],
      registers,
    });
    this.#drift = new Counter({ name: name('drift_total'), help: 'changes by others that were noticed', registers });
  }

  /** @param leader undefined once this operator leads no longer */
  leads(leader: Leader | undefined): void {
    this.#leader = leader;
  }

  looked(result: 'done' | 'failed' | 'refused', milliseconds: number): void {
    this.#looks.inc({ result });
    this.#seconds.observe(milliseconds / 1000);
  }

  drifted(): void {
    this.#drift.inc();
  }
}
