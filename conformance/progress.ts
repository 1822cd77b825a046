import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the suite's processes tell after each spec. */
export interface Told {
  outcome: 'passed' | 'failed';
  name: string;
}

export interface ProgressListener {
  /** For `e2e.test --progress-report-url`. */
  url: string;
  close(): Promise<void>;
}

/**
 * Listens on the loopback interface to what e2e.test posts: a JSON object whose `msg` is `PASSED NAME` or `FAILED NAME`.
 * Its counters are each process's own, so only `msg` is read.
 */
export async function listenToProgress(onTold: (told: Told) => void): Promise<ProgressListener> {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const told = readTold(body);
      if (told) onTold(told);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function readTold(body: string): Told | undefined {
  try {
    const [, word, name] = /^(PASSED|FAILED) (.+)$/s.exec((JSON.parse(body) as { msg: string }).msg) ?? [];
    return name ? { outcome: word === 'PASSED' ? 'passed' : 'failed', name } : undefined;
  } catch {
    return undefined;
  }
}

/** `41 of 433, 2 failed, about 38 min left`. Nothing is said about the time before there is something to go by. */
export function progressText(done: number, failed: number, total: number, milliseconds: number): string {
  const left = done < 5 ? '' : `, about ${formatMinutes((milliseconds / done) * (total - done))} left`;
  return `${done} of ${total}${failed > 0 ? `, ${failed} failed` : ''}${left}`;
}

function formatMinutes(milliseconds: number): string {
  const minutes = Math.ceil(milliseconds / 60_000);
  return minutes < 100 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
