import type { TestProject } from 'vitest/node';
import { startControlPlane } from './control-plane.ts';

declare module 'vitest' {
  interface ProvidedContext {
    api: { server: string; folder: string; authority: { certificate: string; key: string } };
  }
}

/** One API server for all API tests; each test has a namespace of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = Date.now();
  const plane = await startControlPlane();
  project.provide('seconds', { 'kube-apiserver and etcd for api': (Date.now() - started) / 1000 });
  await plane.kubeconfig('admin', ['system:masters']);
  project.provide('api', { server: plane.server, folder: plane.folder, authority: plane.authority });
  return () => plane.stop();
}
