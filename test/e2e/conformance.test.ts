import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { versions } from '../../src/sandbox/versions.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { buildSuite, type Suite } from '../conformance/build.ts';
import { provideImages } from '../conformance/cluster.ts';
import { runSpecs } from '../conformance/run.ts';
import { processInPod } from '../kill-in-pod.ts';
import { allowPrivilegedPods } from '../privileged-namespace.ts';
import { runsAllOf } from '../test-all.ts';
import { Namespace, run, sandboxCommand, succeeded } from './world.ts';

// A slice of Kubernetes' conformance suite, some specs of each SIG: what a plane outside of the pod network is most likely
// to get wrong. Building the suite takes minutes once, so it is part of `npm run test:all`; all of it is `npm run conformance`.

const host = 'conforming.e2e.test';
const slice = [
  '[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny pod and configmap creation',
  '[sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator',
  '[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin] should be able to convert from CR v1 to CR v2',
  '[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones',
  '[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted',
  '[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform rolling updates and roll backs of template modifications',
  '[sig-architecture] Conformance Tests should have at least two untainted nodes',
  '[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer',
  '[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations',
  '[sig-cli] Kubectl client Guestbook application should create and stop a working application',
  '[sig-cli] Kubectl logs logs should be able to retrieve and filter logs',
  '[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed',
  '[sig-network] DNS should provide DNS for services',
  '[sig-network] Proxy version v1 should proxy through a service and a pod',
  '[sig-network] Services should be able to change the type from ExternalName to NodePort',
  '[sig-network] Services should have session affinity work for service with type clusterIP',
  '[sig-node] Pods should support remote command execution over websockets',
  '[sig-node] Pods should support retrieving logs from the container over websockets',
  '[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop http hook properly',
  '[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied.',
  '[sig-storage] EmptyDir volumes should support (non-root,0666,tmpfs)',
  '[sig-storage] Projected combined should project all components that make up the projection API',
];

const reporter = terminalReporter();

/** Workers of a plane, with the images of the suite. */
const workers = {
  machines: async (home: Namespace, { images, programs }: Suite) => {
    await provideImages(home.sandbox, 'worker', images, programs.crane);
    succeeded(await home.k8sk8s('deploy', '-h', host));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '2'], home));
  },
  'pods of the infra cluster': async (home: Namespace, { images }: Suite) => {
    await allowPrivilegedPods(home.sandbox, home.name);
    const image = succeeded(await sandboxCommand(['image', 'worker'], home)).stdout.trim();
    succeeded(await home.k8sk8s('deploy', '-h', host, '--worker-pods', '2', '--worker-image', image));
    const archives = [...new Set(images.map(({ archive }) => archive))];
    for (const { metadata } of await home.podsOf('worker-pod'))
      for (const archive of archives) await importInPod(metadata.uid, archive);
  },
};

/** By containerd in the pod, whose registry knows no image of the suite. */
async function importInPod(uid: string, archive: string): Promise<void> {
  const pid = processInPod(uid, /worker\.sh/)!;
  const line = 'exec nsenter -t "$0" -m ctr -n k8s.io images import - <"$1"';
  succeeded(await run('sh', ['-c', line, String(pid), archive]));
}

describe.runIf(runsAllOf('e2e/conformance')).each(Object.entries(workers))(
  "a slice of Kubernetes' conformance suite on %s",
  (_, join) => {
    let home: Namespace;
    let suite: Suite;

    beforeAll(async () => {
      suite = await buildSuite(versions.kubernetes, 'auto', reporter);
      home = await Namespace.open('conforming');
      succeeded(await sandboxCommand(['host', host], home));
      await join(home, suite);
    }, 1_800_000);

    afterAll(async () => {
      await sandboxCommand(['join', '--leave', '-n', home.name], home);
      await home.k8sk8s('destroy', '--yes');
    });

    test('passes', { timeout: 1_800_000 }, async () => {
      const chosen = suite.specs.filter(({ name }) => slice.some((each) => name.startsWith(each)));
      expect(slice.filter((each) => !chosen.some(({ name }) => name.startsWith(each)))).toEqual([]);
      const { results } = await runSpecs(
        chosen,
        {
          parallel: 4,
          side: 'hosted',
          version: versions.kubernetes,
          options: [],
          folder: path.join(home.cwd, `report-${Object.values(workers).indexOf(join)}`),
          typed: [],
        },
        { programs: suite.programs, kubeconfig: path.join(home.cwd, 'tls/kubeconfig') },
        reporter,
      );
      const failed = chosen.filter(({ name }) => results.specs[name]?.outcome !== 'passed');
      expect(failed.map(({ name }) => [name, results.specs[name]?.cause])).toEqual([]);
    });
  },
);
