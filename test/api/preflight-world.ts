import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpec } from '../../src/config/schema.ts';
import type { ConfigMap, KubeObject } from '../../src/kube/objects.ts';
import { toConfigMap } from '../../src/plane/record.ts';
import { runDeployChecks } from '../../src/preflight/deploy-checks.ts';
import { told } from '../../src/ui/words.ts';
import type { Delegate } from './world.ts';

export const spec = (input: object = {}): ClusterSpec => parseSpec({ host: 'localhost', ...input }, 'test');

/** The outcome of one check, and that all others of the run are not failed beside it unless named. */
export async function outcome(
  delegate: Delegate,
  name: string,
  input: object = {},
): Promise<{ state: string; text: string; failed: string[] }> {
  const results = await runDeployChecks(delegate.cluster, spec(input));
  const found = results.find((result) => result.name === name)!;
  return {
    state: found.outcome.state,
    text: JSON.stringify(told(found.outcome)),
    failed: results
      .filter((result) => result.severity === 'fatal' && result.outcome.state === 'failed')
      .map((result) => result.name),
  };
}

export const ours = { 'app.kubernetes.io/part-of': 'k8sk8s', 'app.kubernetes.io/managed-by': 'k8sk8s' };

export function owned(kind: 'Secret', name: string, planeId: string): KubeObject {
  return { apiVersion: 'v1', kind, metadata: { name, labels: { ...ours, 'app.kubernetes.io/instance': planeId } } };
}

/** The record of a plane `plane-one`. */
export function recorded(input: object = {}): ConfigMap {
  return toConfigMap({ planeId: 'plane-one', toolVersion: '0', spec: spec(input), issuers: [], phase: 'available' });
}
