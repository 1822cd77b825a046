import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/errors.ts';
import { again, command, option, plain, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import { ApiError, ConnectionError, describeConnectionError, isUntrusted } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Workload } from '../kube/objects.ts';
import { shownCertificate } from '../kube/shown-certificate.ts';
import type { PodWatch } from '../live/pod-watch.ts';
import type { Phase } from '../ui/reporter.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

/** Milliseconds. */
const pollEvery = 50;
/** Milliseconds after which a way that does not lead to the plane is told; it may still be in the making. */
const tellAfter = 3000;
/**
 * A ready API server that is not what answers at the public address: milliseconds that the way to it may take to be made.
 * An ingress controller may go on dialling the pod that was there before for a while; who shows another certificate is no
 * such thing, and has nothing to wait for. Silence is also what comes from a box with too much to do: of ten planes that were
 * deployed at once beside twenty on 2 cores, eight had nothing else wrong with them after 30 s of it.
 */
function routeGrace(error: ConnectionError): number {
  if (isUntrusted(error.code)) return 10_000;
  return error.code === 'ETIMEDOUT' ? 120_000 : 30_000;
}

/**
 * The plane's own API server shows a certificate of its CA that is expired, or for an earlier HOST: it reads the new one within
 * two minutes, when the kubelet has brought it.
 */
const readSoon = ['CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID'];

export interface Availability {
  /** Milliseconds. */
  timeout: number;
  phase: Phase;
  signal: AbortSignal;
  /** Done once, as soon as the API server answers at all: what would only wait for it before. */
  onAnswer?: () => Promise<void>;
  /** Told once, when a ready API server has not been what answers at the public address for some seconds. */
  onWrong?: (error: ConnectionError) => void;
  /** Milliseconds after which that ends the wait; default: as the answer is. */
  grace?: number;
}

/**
 * Polls `/readyz` through the public address until it says ok over a connection whose certificate is the plane's own.
 *
 * @throws UserError with the cause as soon as the infra cluster knows one, or when `timeout` has passed
 */
export async function waitAvailable(
  cluster: HostedCluster,
  watch: PodWatch,
  { timeout, phase, signal, onAnswer, onWrong, grace }: Availability,
): Promise<void> {
  let answered: Promise<void> | undefined;
  let readySince: number | undefined;
  let told = false;
  let last = 'no answer yet';
  const answers = async (): Promise<boolean> => {
    const answer = await firstAnswer(cluster).catch((error: Error) => error);
    last = describeAnswer(answer);
    if (!(answer instanceof Error)) {
      answered ??= onAnswer?.() ?? Promise.resolve();
      // Told when the API server is ready, which does not wait for it.
      answered.catch(() => undefined);
      if (answer.ready) return true;
    }
    if (watch.apiServerReady) readySince ??= performance.now();
    else readySince = undefined;
    const wrong = answer instanceof ConnectionError && !readSoon.includes(answer.code) ? answer : undefined;
    if (watch.failure || !wrong || readySince === undefined) return false;
    const since = performance.now() - readySince;
    if (since > (grace ?? routeGrace(wrong))) throw await notThePlane(cluster, wrong);
    if (since > tellAfter && !told) {
      told = true;
      onWrong?.(wrong);
    }
    return false;
  };
  const now = () => watch.waitingFor() ?? last;
  await waitFor({
    until: answers,
    failure: () => watch.failure,
    now,
    timeout,
    phase,
    signal,
    every: pollEvery,
    late: (after) =>
      new UserError({
        what: `the control plane did not become available at ${cluster.server} within ${after}`,
        why: now(),
        fix: words`${again}, it goes on where it stopped; give it longer with ${option('timeout')}`,
        anchor: 'not-available',
      }),
  });
  await answered;
}

/** The same under a live line, as deploy and wake show it. */
export async function connectWhenAvailable(
  cluster: HostedCluster,
  watch: PodWatch,
  { reporter, timeout, signal }: Work,
  more: Pick<Availability, 'onAnswer' | 'onWrong'> = {},
): Promise<void> {
  await reporter.during(
    'Trying to connect to the hosted control plane',
    (phase) => waitAvailable(cluster, watch, { timeout, phase, signal, ...more }),
    'The hosted API answers',
  );
}

/** What came of asking `/readyz`, in a few words. @throws what is no answer of a network or an API server */
function describeAnswer(answer: { failing: string[] } | Error): string {
  if (answer instanceof ConnectionError) return describeConnectionError(answer);
  if (answer instanceof ApiError) return `answers ${answer.status}`;
  if (answer instanceof Error) throw answer;
  return `not ready yet: ${answer.failing.join(', ') || 'starting'}`;
}

/**
 * What `/readyz` says, by the first of up to four connections that carries an answer. An ingress controller that dials before
 * kube-proxy knows the service's pod gets no answer on that connection ever, and on another one a moment later.
 *
 * @throws what ended the last connection, when none is left that may still answer
 */
async function firstAnswer(cluster: HostedCluster): ReturnType<HostedCluster['ready']> {
  const attempts: ReturnType<HostedCluster['ready']>[] = [];
  const first = () =>
    Promise.any(attempts).catch((error: AggregateError) => {
      throw error.errors.at(-1);
    });
  for (const patience of [200, 400, 800]) {
    attempts.push(cluster.ready(2000));
    const answer = await Promise.race([first(), sleep(patience)]);
    if (answer) return answer;
  }
  attempts.push(cluster.ready(2000));
  return first();
}

/**
 * Waits until the pods of changed Deployments are all of the newest template; at once where nothing was changed. Where there
 * is no room for a new pod beside the old one, the old one ends first.
 *
 * @throws UserError with the cause when the new pods do not come up
 */
export async function waitRolledOut(
  cluster: InfraCluster,
  workloads: Workload[],
  watch: PodWatch,
  work: Work,
): Promise<void> {
  await Promise.all(
    workloads
      .filter((workload) => !isRolledOut(workload))
      .map((workload) => untilRolledOut(cluster, workload, watch, work)),
  );
}

async function untilRolledOut(
  cluster: InfraCluster,
  workload: Workload,
  watch: PodWatch,
  { reporter, timeout, signal }: Work,
): Promise<void> {
  const { name } = workload.metadata;
  const setSurge = (rollingUpdate: { maxSurge: number; maxUnavailable: number }) =>
    cluster.merge(workload, name, { spec: { strategy: { rollingUpdate } } });
  let surges = (workload.spec.strategy?.rollingUpdate?.maxSurge ?? 0) > 0;
  let madeRoom = Number.NEGATIVE_INFINITY;
  await waitFor({
    until: async () => {
      const now = await cluster.get<Workload>(workload, name);
      const lacking = surges ? watch.failureOf(name) : undefined;
      if (!lacking || !lacksRoom(lacking)) return now === undefined || isRolledOut(now);
      reporter.warn(
        words`there is no room for a second pod of ${name}, so the old one ends before the new one starts, and nobody answers meanwhile: ${lacking.why ?? ''}`,
      );
      await setSurge({ maxSurge: 0, maxUnavailable: 1 });
      surges = false;
      madeRoom = performance.now();
      return false;
    },
    failure: () => {
      if (performance.now() - madeRoom < roomGrace) return undefined;
      const own = watch.failureOf(name);
      const any = watch.failure;
      // Who waits for the workload that lacks room makes it.
      return own ?? (any && lacksRoom(any) ? undefined : any);
    },
    timeout,
    signal,
    every: pollEvery,
    late: (after) =>
      new UserError({
        what: `the new pods of ${name} did not become ready within ${after}`,
        fix: words`look at: ${command('status', cluster.namespace)}`,
        anchor: 'not-available',
      }),
  });
  if (Number.isFinite(madeRoom)) await setSurge({ maxSurge: 1, maxUnavailable: 0 });
}

/** Milliseconds in which the old pod is told to end. */
const roomGrace = 10_000;

/** A quota or the nodes have no room for the pod. */
function lacksRoom({ anchor, why }: UserError): boolean {
  return anchor === 'unschedulable' || (anchor === 'pod-refused' && plain(why ?? '').includes('exceeded quota'));
}

/** Whether all pods of a workload are of its newest template and ready. Pure. */
export function isRolledOut({ metadata, spec, status = {} }: Workload): boolean {
  const wanted = spec.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, readyReplicas = 0 } = status;
  return (
    status.observedGeneration === metadata.generation &&
    [replicas, updatedReplicas, readyReplicas].every((count) => count === wanted)
  );
}

/** The API answers; controller-manager and scheduler are part of the promise too. @param timeout milliseconds */
export async function waitComponentsReady(watch: PodWatch, timeout: number, signal: AbortSignal): Promise<void> {
  await waitFor({
    until: () => watch.unready.length === 0,
    failure: () => watch.failure,
    timeout,
    signal,
    every: pollEvery,
    late: (after) =>
      new UserError({
        what: `the API server answers, but ${watch.unready.join(' and ')} did not become ready within ${after}`,
        fix: words`look at: ${command('status', watch.namespace)}; then ${again}, it goes on where it stopped`,
        anchor: 'not-available',
      }),
  });
}

/** The API server is ready, but something else, or nothing, is at the address that people will use. */
async function notThePlane(cluster: HostedCluster, error: ConnectionError): Promise<UserError> {
  const url = new URL(cluster.server);
  const port = url.port === '' ? 443 : Number(url.port);
  const address = await lookup(url.hostname).then(
    (found) => found.address,
    () => undefined,
  );
  if (isUntrusted(error.code)) {
    const shown = await shownCertificate(url.hostname, port, cluster.transport.connection.proxies);
    if (/TRAEFIK DEFAULT CERT|Ingress Controller Fake Certificate/.test(shown?.subject ?? ''))
      return controllerTook(cluster.server, shown!.subject);
    return new UserError({
      what: `${cluster.server} is answered by something else than this plane, whose API server is ready`,
      why: `at ${address ?? 'that address'} a certificate for ${oneLine(shown?.subject)} issued by ${oneLine(shown?.issuer)} is shown: the name leads to another machine, or the ingress controller there does not pass TLS through`,
      fix: words`let the name lead to the ingress controller of the infra cluster, switch TLS passthrough on there (ingress-nginx: --enable-ssl-passthrough), choose its class with ${field('ingressClass')}, or use ${field('expose', 'nodeport')}`,
      anchor: 'wrong-host',
    });
  }
  return new UserError({
    what: `${cluster.server} cannot be reached from here, although the plane's API server is ready`,
    why: `${address ? `the name leads to ${address}, and ` : ''}${describeConnectionError(error)}`,
    fix: words`check what the name leads to, the firewall, and whether the infra cluster has an ingress controller; ${field('expose', 'nodeport')} does without one`,
    anchor: 'address-unreachable',
  });
}

/** The name leads to the right controller, which has no route for it and ends TLS itself. */
function controllerTook(server: string, subject: string): UserError {
  const traefik = subject.includes('TRAEFIK');
  return new UserError({
    what: `${server} leads to ${traefik ? 'Traefik' : 'ingress-nginx'}, which knows no way to the plane by that name`,
    why: `it ends TLS itself, with ${oneLine(subject)}: ${
      traefik
        ? 'an Ingress counts with its provider kubernetesIngressNGINX and a class that this serves, and a TLSRoute with kubernetesGateway, experimentalchannel=true and the experimental CustomResourceDefinitions of the Gateway API'
        : 'it passes TLS through with --enable-ssl-passthrough alone'
    }`,
    fix: traefik
      ? words`choose its class with ${field('ingressClass')}, use ${field('expose', 'traefik')}, which every Traefik with its CustomResourceDefinitions takes, ask the administrator for that provider, or use ${field('expose', 'nodeport')}, which needs no controller`
      : words`ask the administrator for that flag, choose another class with ${field('ingressClass')}, or use ${field('expose', 'nodeport')}, which needs no controller`,
    anchor: 'wrong-host',
  });
}

function oneLine(name = 'somebody unknown'): string {
  return name.trim().split('\n').join(', ') || 'nobody';
}
