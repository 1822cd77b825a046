import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Metrics } from './metrics.ts';

interface Dashboard {
  panels: { title: string; targets: { expr: string }[] }[];
}

const dashboard = JSON.parse(readFileSync('docs/grafana/operator.json', 'utf8')) as Dashboard;

/** Names of the metrics in a query; what stands in braces is about labels. */
const metricsIn = (expr: string) =>
  [...expr.replace(/\{[^}]*\}/g, '').matchAll(/\b(?:k8sk8s|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name);

/** A histogram is told as three. */
const withoutSuffix = (name: string) => name.replace(/_(bucket|sum|count)$/, '');

test('each query of the dashboard is about figures that the operator gives', async () => {
  const metrics = new Metrics();
  const text = await metrics.registry.metrics();
  const given = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  for (const { title, targets } of dashboard.panels)
    for (const { expr } of targets) {
      const names = metricsIn(expr);
      expect(names.length, `${title}: ${expr}`).toBeGreaterThan(0);
      for (const name of names) expect(given, `${title}: ${name}`).toContain(withoutSuffix(name));
    }
});

test("the dashboard shows each of the operator's own figures", async () => {
  const own = (await new Metrics().registry.getMetricsAsJSON()).map(({ name }) => name);
  const shown = new Set(
    dashboard.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => metricsIn(expr).map(withoutSuffix))),
  );
  expect(own.filter((name) => name.startsWith('k8sk8s_') && !shown.has(name))).toEqual([]);
});
