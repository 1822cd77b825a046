import { isDeepStrictEqual } from 'node:util';
import { hostedControlPlane, hostedControlPlaneName, type LifeFields } from '../config/hosted-control-plane.ts';
import { parseSpec } from '../config/parse.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { type PlaneRecord, specRecorded } from '../plane/record.ts';
import { lifeAt } from './clock.ts';
import { type HostedControlPlane, specOf } from './object.ts';

/** An object for a plane as it is: its version, and what is not the default. Pure. */
export function objectOfRecord(
  record: PlaneRecord,
  namespace: string,
  deletionPolicy: LifeFields['deletionPolicy'],
): HostedControlPlane {
  const { allowUntestedVersion: _, ...recorded } = specRecorded(record);
  const { host, kubernetesVersion } = recorded;
  const defaults = parseSpec({ host, kubernetesVersion, allowUntestedVersion: true }, 'in the defaults of a plane');
  const chosen = Object.entries(recorded).filter(
    ([name, value]) => !isDeepStrictEqual(value, defaults[name as keyof ClusterSpec]),
  );
  return {
    ...hostedControlPlane,
    metadata: { name: hostedControlPlaneName, namespace },
    spec: {
      host,
      kubernetesVersion,
      ...Object.fromEntries(chosen),
      ...(record.asleep && { asleep: true }),
      deletionPolicy,
    },
  };
}

/** What the operator would change of a plane that follows an object from now on: `replicas: 2 -> 1`. Pure. @throws UserError `bad-values` */
export function changesBy(object: HostedControlPlane, record: PlaneRecord): string[] {
  const [now, wanted] = [specRecorded(record), specOf(object, record)];
  const fields = Object.keys({ ...now, ...wanted }).filter((name) => name !== 'allowUntestedVersion');
  const say = (value: unknown) => (value === undefined ? 'none' : JSON.stringify(value));
  const changed = fields
    .map((name) => [name, now[name as keyof ClusterSpec], wanted[name as keyof ClusterSpec]] as const)
    .filter(([, before, after]) => !isDeepStrictEqual(before, after))
    .map(([name, before, after]) => `${name}: ${say(before)} -> ${say(after)}`);
  const { asleep } = lifeAt(object, new Date());
  return [...changed, ...(asleep === (record.asleep !== undefined) ? [] : [`asleep: ${!asleep} -> ${asleep}`])];
}
