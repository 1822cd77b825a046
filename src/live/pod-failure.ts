import { UserError } from '../base/errors.ts';
import { again, command, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ContainerStatus, Pod } from '../kube/objects.ts';
import { apiServerClients } from '../plane/components/lookup.ts';
import { hinderedStart } from './hindered-start.ts';
import { describeExit, type PodProblem } from './pod-problems.ts';

/** Restarts that a container is allowed while it only waits for another one. */
const patience = 5;

/**
 * What a problem of a plane's pod means for its user, where waiting does not mend it; a container that ends again and again
 * is quoted.
 *
 * @returns undefined while there is hope
 */
export async function podFailure(cluster: InfraCluster, pod: Pod, problem: PodProblem): Promise<UserError | undefined> {
  const { container } = problem;
  if (!container) return undefined;
  if (problem.added) return addedFailure(cluster, pod, problem, container);
  // A component's own container has its name; beside the API server there is another one.
  const component = container.name;
  switch (problem.kind) {
    case 'image-pull':
      return new UserError({
        what: `the image ${container.image} of ${component} cannot be pulled`,
        why: problem.says,
        fix: words`check the name and version, and whether the infra nodes reach that registry; ${field('registryMirrors', 'REGISTRY=MIRROR')} or ${field('imageRegistry')} names a mirror, ${field('imagePullSecret')} the credentials, then ${again}`,
        anchor: 'image-pull',
      });
    case 'container-start':
      return new UserError({
        what: `the container of ${component} cannot be started`,
        why: problem.says,
        fix: `look at: kubectl -n ${cluster.namespace} describe pod ${pod.metadata.name}`,
        anchor: 'container-start',
      });
    case 'crash-loop':
      return crashed(cluster, pod, container);
    case 'not-ready':
      return component === 'kube-apiserver' ? hinderedStart(cluster, pod) : undefined;
    default:
      return undefined;
  }
}

async function crashed(cluster: InfraCluster, pod: Pod, container: ContainerStatus): Promise<UserError | undefined> {
  const component = container.name;
  const log = await lastWords(cluster, pod, container);
  // Controller-manager and scheduler give up when the API server is away for a while, or does not know yet who may what, and come
  // back by themselves.
  const bystander = (apiServerClients as readonly string[]).includes(component);
  if (
    bystander &&
    /connection refused|i\/o timeout|deadline exceeded|no route to host|apiserver being healthy|Unauthorized|is forbidden/.test(
      log,
    ) &&
    container.restartCount < patience
  )
    return undefined;
  const full = component === 'etcd' && /[^"]*no space left on device/.exec(log);
  if (full)
    return new UserError({
      what: `the volume of ${pod.metadata.name} is full`,
      why: full[0],
      fix: `make it larger where its StorageClass can (kubectl -n ${cluster.namespace} edit pvc), or free what else fills the file system under it; ${component} then goes on by itself`,
      anchor: 'volume-full',
    });
  return new UserError({
    what: `${component} ends right after its start${endOf(container)}`,
    why: quoted(log),
    fix: words`correct the option that it complains of and ${again}; the whole log: ${command('logs', cluster.namespace, component)}`,
    anchor: 'crash-loop',
  });
}

/** A container that a policy or webhook added holds the whole pod up: it gets no traffic before all of its containers are ready. */
async function addedFailure(
  cluster: InfraCluster,
  pod: Pod,
  { kind, says, hopeless }: PodProblem,
  container: ContainerStatus,
): Promise<UserError | undefined> {
  // It may wait for something of its own.
  if (!hopeless && !(kind === 'crash-loop' && container.restartCount >= patience)) return undefined;
  const whose =
    'k8sk8s did not put it there; a policy or webhook of the infra cluster adds it to pods of this namespace';
  return new UserError({
    what: `container "${container.name}" in pod ${pod.metadata.name} ${kind === 'crash-loop' ? `ends again and again${endOf(container)}` : 'cannot be started'}`,
    why: `${whose}; ${kind === 'crash-loop' ? quoted(await lastWords(cluster, pod, container)) : says}`,
    fix: 'ask the administrator of the infra cluster to repair it, or to exclude the pods of this namespace',
    anchor: 'added-container',
  });
}

/** Of the run before, without what etcd adds about where it was in its own sources. */
async function lastWords(cluster: InfraCluster, pod: Pod, { name }: ContainerStatus): Promise<string> {
  const log = await cluster.log(pod.metadata.name, { container: name, tailLines: 8, previous: true }).catch(() => '');
  return log.replaceAll(/,"stacktrace":"[^"]*"/g, '').trim();
}

function endOf({ lastState }: ContainerStatus): string {
  return lastState?.terminated ? `, with ${describeExit(lastState.terminated)}` : '';
}

function quoted(log: string): string {
  return log === '' ? 'it left no log' : `its last words were\n${log.replace(/^/gm, '    ')}`;
}

export function unschedulable(pod: Pod): UserError {
  const condition = pod.status?.conditions?.find((each) => each.type === 'PodScheduled');
  return new UserError({
    what: `no infra node can take the pod of ${pod.metadata.labels?.['app.kubernetes.io/name'] ?? pod.metadata.name}`,
    why: `the scheduler says: ${condition?.message ?? 'nothing'}`,
    fix: words`free room on the infra cluster, or change ${field('nodeSelector')}, ${field('tolerations')} or ${field('resources')}, and ${again}`,
    anchor: 'unschedulable',
  });
}
