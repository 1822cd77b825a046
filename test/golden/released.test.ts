import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { ConfigMap, KubeObject, Pod, Workload } from '../../src/kube/objects.ts';
import { differences } from '../../src/live/differences.ts';
import { byComponent } from '../../src/plane/components/lookup.ts';
import { type PlaneRecord, parseRecord } from '../../src/plane/record.ts';
import { renderPlane } from '../../src/plane/render.ts';
import { isStartFiles } from '../../src/plane/start-files.ts';
import { type Replacement, replacementsOf } from '../../src/rollout/replacements.ts';
import { fixedPlane, withoutBytes } from './plane.ts';
import { specs } from './specs.ts';

/*
 * What released versions rendered for a plane that is available, one object a line, in released/VERSION/. These files stay
 * as they are. At a release, they are written by: K8SK8S_KEEP_RELEASE=VERSION npx vitest run --project golden released
 */

const folder = 'test/golden/released';
const kept = ['default', 'options', 'highly-available', 'konnectivity', 'own-network'];

/** What today's version changes on purpose, by the object and the fields, of planes that each released version deployed. */
const meant: Record<string, Record<string, string[]>> = {
  // The gate stands beside every API server (ADR 37), with Node 24 in place of 20, so that API servers roll once for it, and no other pod.
  '0.1.0': {
    // A change of the API server leaves no gap (docs/adr/0004-not-ready-addresses.md).
    'Deployment kube-apiserver': [
      'spec.revisionHistoryLimit',
      'spec.strategy.rollingUpdate.maxSurge',
      'spec.strategy.rollingUpdate.maxUnavailable',
      ...[
        'metadata.annotations["k8sk8s.io/config-hash"]',
        'metadata.annotations["k8sk8s.io/template-hash"]',
        'spec.containers[konnectivity-server]',
        'spec.containers[kube-apiserver-egress]',
        'spec.containers[kube-apiserver-egress].args',
        'spec.containers[kube-apiserver-egress].command',
        'spec.containers[kube-apiserver-egress].env',
        'spec.containers[kube-apiserver-egress].image',
        'spec.containers[kube-apiserver-egress].livenessProbe',
        'spec.containers[kube-apiserver-egress].ports',
        'spec.containers[kube-apiserver-egress].resources.requests.memory',
        'spec.containers[kube-apiserver].args',
        'spec.containers[kube-apiserver].resources.limits',
        'spec.containers[kube-apiserver].volumeMounts[/etc/resolv.conf]',
        'spec.containers[kube-apiserver].volumeMounts[/run/egress]',
        'spec.dnsPolicy',
        'spec.terminationGracePeriodSeconds',
        'spec.volumes[egress-socket]',
        'spec.volumes[egress]',
        // Start files are named by their content (docs/adr/0041-start-files-named-by-content.md).
        'spec.volumes[egress].projected',
        'spec.volumes[egress].secret',
        'spec.volumes[pki].projected',
        'spec.volumes[pki].secret',
      ].map((path) => `spec.template.${path}`),
    ],
    'Service apiserver': ['spec.publishNotReadyAddresses'],
    // A tenant does not see which controller an IngressClass belongs to.
    'Ingress k8s-on-k8s': [
      'metadata.annotations["haproxy-ingress.github.io/ssl-passthrough"]',
      'metadata.annotations["haproxy.org/ssl-passthrough"]',
    ],
    'Secret kube-apiserver': ['files'],
    'Secret kube-apiserver-HASH': ['is new'],
    // Who gets in is read again while the API server runs (docs/adr/0048-outside-identity.md).
    'Secret kube-apiserver-identity': ['is new'],
    'Secret kube-apiserver-egress': ['files', 'is new'],
    'Secret kube-apiserver-egress-HASH': ['is new'],
  },
};

/** Components whose pods a deploy by today's version replaces on a plane of each released version, and what of them changes. */
const replaced: Record<string, Record<string, string[]>> = {
  '0.1.0': {
    'kube-apiserver': [
      'start files',
      'arguments (authorization-mode, endpoint-reconciler-type, authorization-config, shutdown-delay-duration)',
      'volumeMounts (/etc/resolv.conf)',
      'resources',
      'image of kube-apiserver-egress (node:24-slim)',
      'command of kube-apiserver-egress',
      'arguments of kube-apiserver-egress (socket, cluster, controlplane, pod, advertise-address, advertise-port, openings, closed)',
      'resources of kube-apiserver-egress',
      'environment of kube-apiserver-egress',
      'dnsPolicy',
      // With --egress konnectivity, whose server had the gate's name.
      'terminationGracePeriodSeconds',
      'arguments (authorization-mode, endpoint-reconciler-type, authorization-config)',
      'arguments of kube-apiserver-egress (v, mode, uds-name, server-port, agent-port, admin-port, health-port, proxy-strategies, server-count, cluster-cert, cluster-key, kubeconfig, agent-namespace, agent-service-account, authentication-audience, controlplane, server, credentials, pod, advertise-address, advertise-port, openings, closed)',
      'ports of kube-apiserver-egress',
      'livenessProbe of kube-apiserver-egress',
      'containers (konnectivity-server)',
      // With --egress none, where nothing stood beside the API server.
      'arguments (authorization-mode, endpoint-reconciler-type, authorization-config, shutdown-delay-duration, egress-selector-config-file)',
      'volumeMounts (/etc/resolv.conf, /run/egress)',
      'containers (kube-apiserver-egress)',
      'volumes',
    ],
  },
};

const version = process.env.K8SK8S_KEEP_RELEASE;
if (version)
  test.each(kept)('%s is kept as it is rendered', async (name) => {
    const objects = await render({ ...(await fixedPlane(specs[name]!, 'available')).record, toolVersion: version });
    mkdirSync(`${folder}/${version}`, { recursive: true });
    writeFileSync(`${folder}/${version}/${name}.jsonl`, objects.map((each) => `${JSON.stringify(each)}\n`).join(''));
  });

test.each(readdirSync(folder))(
  'a deploy over a plane of %s changes what is meant and nothing else',
  async (release) => {
    const found = new Map<string, Set<string>>();
    for (const file of readdirSync(`${folder}/${release}`)) {
      const { record, objects: before } = readReleased(`${folder}/${release}/${file}`);
      const [, ...now] = await render(record);
      for (const name of new Set([...before, ...now].map(nameOf))) {
        const [old, next] = [before, now].map((objects) => objects.find((object) => nameOf(object) === name));
        const paths = old && next ? differences(old, next).map(({ path }) => path) : [old ? 'is gone' : 'is new'];
        for (const path of paths) found.set(name, (found.get(name) ?? new Set()).add(path));
      }
    }
    expect(Object.fromEntries([...found].map(([name, paths]) => [name, [...paths].sort()]))).toEqual(meant[release]);
  },
  60_000,
);

test.each(readdirSync(folder))(
  'a deploy over a plane of %s replaces no pod that need not be replaced, and names the others with the reason',
  async (release) => {
    const found: Record<string, string[]> = {};
    for (const file of readdirSync(`${folder}/${release}`)) {
      const { record, objects } = readReleased(`${folder}/${release}/${file}`);
      for (const { component, changed } of replacementsOver(objects, await render(record)))
        found[component] = [...new Set([...(found[component] ?? []), ...changed])];
      const asked = ['max-requests-inflight=200', ...(record.spec.apiServerArgs ?? [])];
      const now = await render({ ...record, spec: { ...record.spec, apiServerArgs: asked } });
      const [apiServer] = replacementsOver(objects, now).filter(({ component }) => component === 'kube-apiserver');
      expect(apiServer).toMatchObject({ cause: 'asked' });
      expect(apiServer!.changed.join()).toContain('max-requests-inflight');
      expect(replacementsOver(objects, now).map(({ component }) => component)).toEqual([
        ...new Set([...Object.keys(replaced[release]!), 'kube-apiserver']),
      ]);
    }
    expect(found).toEqual(replaced[release]);
  },
  60_000,
);

/** What deploy says of a plane that holds `before`, with a pod of each workload, when it is to hold `now`. */
function replacementsOver(before: KubeObject[], now: KubeObject[]): Replacement[] {
  const find = <T extends KubeObject>(object: Pick<KubeObject, 'kind' | 'metadata'>) =>
    before.find((each) => nameOf(each as KubeObject) === nameOf(object)) as T | undefined;
  const ofKind = <T extends KubeObject>(kind: string) => before.filter((each) => each.kind === kind) as T[];
  const isWorkload = (object: KubeObject): object is Workload => /^(Deployment|StatefulSet)$/.test(object.kind);
  const pods = before.filter(isWorkload).map(
    ({ metadata, spec }): Pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...spec.template.metadata, name: `${metadata.name}-0` },
      spec: { containers: [] },
    }),
  );
  const workloads = byComponent(({ name }) => now.filter(isWorkload).find(({ metadata }) => metadata.name === name)!);
  return replacementsOf({ workloads, secrets: [] }, { find, ofKind }, now.filter(isWorkload), pods);
}

/** A plane as a released version rendered it. */
function readReleased(file: string): { record: PlaneRecord; objects: KubeObject[] } {
  const [recordObject, ...objects] = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as KubeObject);
  return { record: parseRecord(recordObject as ConfigMap)!, objects };
}

/** What is named by its content has another name with each content. */
function nameOf(object: Pick<KubeObject, 'kind' | 'metadata'>): string {
  const { kind, metadata } = object;
  return `${kind} ${isStartFiles(object) ? metadata.name.replace(/[^-]+$/, 'HASH') : metadata.name}`;
}

/** Everything of the plane of a record in the infra cluster, as it would come back from a file. */
async function render(recorded: PlaneRecord): Promise<KubeObject[]> {
  const spec = parseSpec({ ...recorded.spec, allowUntestedVersion: true }, 'in the record');
  const plane = { ...(await fixedPlane(spec, recorded.phase)), record: recorded };
  return JSON.parse(JSON.stringify(renderPlane(plane).all().map(withoutBytes))) as KubeObject[];
}
