import type { TestProject } from 'vitest/node';
import { startControlPlane } from './control-plane.ts';

declare module 'vitest' {
  interface ProvidedContext {
    api: { server: string; folder: string; authority: { certificate: string; key: string } };
  }
}

/** One API server for all API tests; each test has a namespace of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const plane = await startControlPlane();
  await plane.kubeconfig('admin', ['system:masters']);
  project.provide('api', { server: plane.server, folder: plane.folder, authority: plane.authority });
  return () => plane.stop();
}
