import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { filePaths } from '../../access/files.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { writeFileAtomically } from '../../kubeconfig/write.ts';
import { objectOf } from '../../live/followed.ts';
import { lifetimeOf, readLifetimeJob } from '../../live/lifetime.ts';
import { openPlane } from '../../live/open.ts';
import { adminKubeconfig } from '../../plane/secrets.ts';
import type { Student } from './queue.ts';

const pageFile = 'page.html';

export interface Handout {
  student: string;
  kubeconfig: string;
  page: string;
}

/** Writes the files for a student: the kubeconfig of the administrator of the student's plane, and a page to print. */
export async function writeHandout(
  cluster: InfraCluster,
  className: string,
  student: Student,
  folder: string,
): Promise<Handout> {
  const [{ bundle, spec, addresses }, job, object] = await Promise.all([
    openPlane(cluster),
    readLifetimeJob(cluster),
    objectOf(cluster),
  ]);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const files = { kubeconfig: path.join(folder, 'kubeconfig'), page: path.join(folder, pageFile) };
  await writeFileAtomically(files.kubeconfig, adminKubeconfig(bundle, { spec, publicServer: addresses.publicServer }));
  const { publicServer: server } = addresses;
  const version = spec.kubernetesVersion;
  await writeFileAtomically(
    files.page,
    renderPage({ className, student, server, version, endsAt: lifetimeOf(job)?.endsAt ?? object?.spec.expiresAt }),
  );
  return { student: student.name, ...files };
}

/** Removes what was written into the folder of a student; what others put there stays. */
export function removeFiles(folder: string): void {
  for (const file of [...Object.values(filePaths(folder)), path.join(folder, pageFile)]) rmSync(file, { force: true });
}

export interface Page {
  className: string;
  student: Student;
  server: string;
  version: string;
  endsAt?: string;
}

/** One page to print; no secret stands on it. Pure. */
export function renderPage({ className, student, server, version, endsAt }: Page): string {
  const text = (value: string) => value.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
  const name = text(student.title ?? student.name);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${text(className)}: ${name}</title>
<style>
body { font: 12pt/1.5 sans-serif; max-width: 17cm; margin: 2cm auto; }
h1 { font-size: 20pt; margin-bottom: 0; }
pre { background: #eee; padding: 3mm; overflow-wrap: anywhere; white-space: pre-wrap; }
</style>
</head>
<body>
<h1>${name}</h1>
<p>Class ${text(className)}. This is a Kubernetes cluster of your own, version ${text(version)}.</p>
<table>
<tr><td>API server</td><td><code>${text(server)}</code></td></tr>
${endsAt === undefined ? '' : `<tr><td>It ends at</td><td>${text(endsAt)}, with everything in it</td></tr>\n`}</table>
<p>You get a file <code>kubeconfig</code>. Whoever has it is the administrator of your cluster: keep it for yourself.</p>
<pre>export KUBECONFIG=$PWD/kubeconfig
kubectl version
kubectl get nodes
kubectl create deployment web --image=nginx
kubectl get pods</pre>
<p>If the API server does not answer, the cluster may be asleep: ask your teacher to wake it.</p>
</body>
</html>
`;
}
