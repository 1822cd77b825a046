import { expect, test } from 'vitest';
import { renderLogs } from './logs.ts';
import { summarize } from './statistics.ts';

const of = (name: string, millicores: number) => ({ name, millicores, anonymousMiB: 10, residentMiB: 20 });

test('what --logs costs stands beside the same without it, component by component', () => {
  const atRest = (...components: ReturnType<typeof of>[]) => ({
    components,
    total: of('total', 30),
    runtime: of('pause and shims', 1),
  });
  const kind = (median: number, consumption: ReturnType<typeof atRest>) => ({
    availableMs: summarize([median]),
    doneMs: summarize([median + 1000]),
    atRest: consumption,
  });
  const text = renderLogs({
    machine: {
      time: '',
      processor: '',
      cores: 2,
      memoryGiB: 1,
      freeGiB: 1,
      load: 0,
      kernel: '',
      node: '',
      k8sk8s: '',
      kubernetes: '',
    },
    options: [],
    runs: 1,
    restSeconds: 10,
    watchedSeconds: 5,
    kinds: {
      without: kind(4000, atRest(of('kube-apiserver', 14))),
      kept: kind(5000, atRest(of('kube-apiserver', 15), of('log-follower', 3), of('log-store', 6))),
    },
  });
  expect(text).toMatch(/^deploy to AVAILABLE +4\.00 s .*5\.00 s .* 1\.25$/m);
  expect(text).toMatch(/^kube-apiserver +14\.0 +15\.0 /m);
  expect(text).toMatch(/^log-store +6\.0 /m);
});
