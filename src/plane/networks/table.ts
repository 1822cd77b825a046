import type { ClusterSpec } from '../../config/schema.ts';
import { cilium } from './cilium/cilium.ts';
import type { NetworkDriver } from './driver.ts';
import { flannel } from './flannel/flannel.ts';
import { manifest } from './manifest/manifest.ts';
import { none } from './none.ts';

/** The drivers by what --network calls them. */
const drivers: Record<ClusterSpec['network'], NetworkDriver> = { flannel, cilium, manifest, none };

/** Values of the label `k8s-app` of the pods of all of them. */
export const appsOfDrivers: readonly string[] = Object.values(drivers).flatMap(({ apps = [] }) => apps);

/** What may be left on a machine, whichever driver its plane has or had. */
export function leftByDrivers(): Required<NetworkDriver>['left'] {
  const all = Object.values(drivers).flatMap(({ left }) => left ?? []);
  return {
    links: all.flatMap(({ links }) => links),
    files: all.flatMap(({ files }) => files),
    rules: all.flatMap(({ rules }) => rules),
  };
}

/** What --network calls the drivers whose objects this build of k8sk8s knows. */
export function knownNetworks(): ClusterSpec['network'][] {
  return (Object.keys(drivers) as ClusterSpec['network'][]).filter((name) => drivers[name].absent?.() === undefined);
}

/** The driver that the spec asks for; none where k8sk8s is to leave the hosted cluster alone. */
export function driverOf({ network, childAssets }: Pick<ClusterSpec, 'network' | 'childAssets'>): NetworkDriver {
  return childAssets ? drivers[network] : none;
}
