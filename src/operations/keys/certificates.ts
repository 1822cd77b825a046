import { didYouMean } from '../../base/did-you-mean.ts';
import { UserError } from '../../base/errors.ts';
import { command, type Words, words } from '../../base/words.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Workload } from '../../kube/objects.ts';
import { shownCertificate } from '../../kube/shown-certificate.ts';
import { dialledServer, dialThroughInfra, openPlane, type Plane } from '../../live/open.ts';
import { type HeldPlane, withPlane } from '../../live/with-plane.ts';
import type { Authority } from '../../pki/authority.ts';
import { daysLeft, warnBeforeDays } from '../../pki/certificates.ts';
import { fingerprint, inspect } from '../../pki/inspect.ts';
import type { Credential } from '../../pki/issue.ts';
import { purposeOf } from '../../pki/table.ts';
import { hostAndPort } from '../../plane/addresses.ts';
import { secretOf } from '../../plane/secrets.ts';
import { renewLeaves } from '../../rollout/renew-leaves.ts';
import { rollOut } from '../../rollout/roll-out.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';

export interface CertificateStatus {
  name: string;
  kind: 'authority' | 'leaf';
  /** Secret of the namespace that holds its key. */
  secret: string;
  usedFor: string;
  /** What happens when it ends, or has ended. */
  atItsEnd: Words;
  subject: string;
  /** DNS names and addresses. */
  names: string[];
  /** Common name of the authority that signed it. */
  issuer: string;
  notAfter: Date;
  /** Whole days left; negative once it has ended. */
  days: number;
  nearItsEnd: boolean;
}

/** Every certificate of the plane's Secrets, the first to end first. @throws UserError `no-plane` or `plane-incomplete` */
export async function certificateStatus(cluster: InfraCluster, now = new Date()): Promise<CertificateStatus[]> {
  const { bundle } = await openPlane(cluster);
  return statusOf(bundle, now);
}

/** Pure. */
export function statusOf(
  { authorities, leaves }: Pick<Plane['bundle'], 'authorities' | 'leaves'>,
  now: Date,
): CertificateStatus[] {
  const describe =
    (kind: CertificateStatus['kind']) =>
    ([name, { certificate }]: [string, { certificate: string }]) => {
      const facts = inspect(certificate);
      const days = daysLeft(facts, now);
      const purpose = purposeOf(name) ?? { usedFor: 'nothing that k8sk8s knows', atItsEnd: '' };
      return {
        name,
        kind,
        secret: secretOf(name),
        ...purpose,
        subject: [`CN=${facts.commonName}`, ...facts.organizations.map((each) => `O=${each}`)].join(', '),
        names: [...facts.dnsNames, ...facts.ipAddresses],
        issuer: facts.issuer,
        notAfter: facts.notAfter,
        days,
        nearItsEnd: days < warnBeforeDays(name),
      };
    };
  return [
    ...Object.entries(authorities).flatMap(([name, authority]) =>
      [[name, authority] as [string, Authority], ...besides(name, authority)].map(describe('authority')),
    ),
    ...Object.entries(leaves).map(describe('leaf')),
  ].sort((a, b) => a.days - b.days);
}

/** What is trusted beside the signer while that is replaced, and what signs in its place. */
function besides(name: string, { next, previous, signer }: Authority): [string, { certificate: string }][] {
  return [
    ...(next ? [[`${name}-next`, next] as [string, Credential]] : []),
    ...(previous ? [[`${name}-previous`, previous] as [string, { certificate: string }]] : []),
    ...(signer ? [[`${name}-signer`, signer] as [string, Credential]] : []),
  ];
}

export interface Renewed {
  names: string[];
  /** Whether the plane sleeps, and reads them when it wakes. */
  asleep: boolean;
  /** Milliseconds until the API server showed its new certificate; undefined when it was not among them, or the plane sleeps. */
  shownAfter?: number;
}

/**
 * Makes leaves anew, by the same authorities and with the same names. Components read their files again by themselves, so
 * the API goes on answering; konnectivity's server alone does not, and is restarted with its API server.
 *
 * @param names of leaves; all of them when empty
 * @throws UserError when a name is not that of a leaf, or the API server does not come to show its new certificate
 */
export async function renewCertificates(cluster: InfraCluster, names: string[], work: Work): Promise<Renewed> {
  return withPlane(cluster, 'certs renew', work, (plane) => renew(plane, names), { asleep: 'allowed' });
}

async function renew(plane: HeldPlane, names: string[]): Promise<Renewed> {
  const { held } = plane;
  const known = Object.keys(plane.bundle.leaves);
  for (const name of names) if (!known.includes(name)) throw notALeaf(name, plane);
  const { bundle, issued } = await renewLeaves(held.cluster, plane, held.reporter, names.length > 0 ? names : known);
  const awake = !plane.record.asleep;
  if (issued.includes('konnectivity-server') && awake)
    await rollOut(held.cluster, plane, bundle, ['kube-apiserver'], held);
  return {
    names: issued,
    asleep: !awake,
    shownAfter:
      issued.includes('apiserver') && awake
        ? await waitShown(held.cluster, plane, bundle.leaves.apiserver!.certificate, held)
        : undefined,
  };
}

function notALeaf(name: string, { bundle }: Plane): UserError {
  const known = Object.keys(bundle.leaves);
  return new UserError({
    what: bundle.authorities[name]
      ? `${name} is a CA: if it alone were renewed, every certificate that it signed would be refused`
      : `the plane has no certificate "${name}"${didYouMean(name, known)}`,
    fix: bundle.authorities[name]
      ? words`leave it out; ${command('certs status')} shows when CAs expire`
      : `name one or more of ${known.join(', ')}`,
    anchor: 'no-certificate',
    kind: 'refused',
  });
}

/** Milliseconds. */
const pollEvery = 500;

/**
 * A kubelet brings a changed Secret into a running pod within about 90 s, and the API server looks at its files once a
 * minute and when they change.
 */
async function waitShown(cluster: InfraCluster, plane: Plane, certificate: string, work: Work): Promise<number> {
  const { reporter, timeout, signal } = work;
  const started = performance.now();
  const wanted = fingerprint(certificate);
  const { host, port } = hostAndPort(dialledServer(cluster, plane.addresses));
  const dial = dialThroughInfra(cluster, plane.addresses);
  const deployment = await cluster.get<Workload>({ apiVersion: 'apps/v1', kind: 'Deployment' }, 'kube-apiserver');
  // Connections spread over replicas by chance, so each of them has to have had its turn.
  const needed = 4 * ((deployment?.spec.replicas ?? 1) - 1) + 1;
  let seen = 0;
  const shows = async () => {
    for (; seen < needed; seen++) {
      signal.throwIfAborted();
      const shown = await shownCertificate(host, port, cluster.transport.connection.proxies, dial);
      if (shown && fingerprint(shown.toString()) === wanted) continue;
      seen = 0;
      return false;
    }
    return true;
  };
  await reporter.during(
    'Waiting until the API server shows its new certificate',
    () =>
      waitFor({
        until: shows,
        timeout,
        signal,
        every: pollEvery,
        late: (after) =>
          new UserError({
            what: `the API server does not show its new certificate after ${after}`,
            why: 'the new one is in the Secret kube-apiserver; a kubelet of the infra cluster should have brought it to the pod, or the pod does not run',
            fix: words`look at: ${command('status', cluster.namespace)}; a new pod has it at once (kubectl -n ${cluster.namespace} delete pod -l app.kubernetes.io/name=kube-apiserver)`,
            anchor: 'certificate-not-shown',
          }),
      }),
    'The API server shows its new certificate',
  );
  return Math.round(performance.now() - started);
}
