import type { KubeObject } from '../../kube/objects.ts';
import type { TestRow } from '../../plane/networks/test-rows.ts';
import { waitAtMost } from '../../ui/wait-for.ts';
import {
  demandAnswer,
  describePod,
  outsideNamespace,
  type PodName,
  ports,
  RowFailure,
  runInPod,
  socketAddress,
  type TestSetup,
  testNamespace,
} from './setup.ts';

export type PolicyRow = Extract<TestRow, `policy-${string}`>;

/** One way between pods, and whether the policy leaves it open. */
interface Way {
  from: PodName;
  to: PodName;
  port?: number;
  open: boolean;
}

const far = (from: PodName, open: boolean, port?: number): Way => ({ from, to: 'far', open, port });
const of = (name: PodName) => ({ podSelector: { matchLabels: { name } } });
const outside = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': outsideNamespace } } };
const webPort = [{ port: ports.web, protocol: 'TCP' }];

const cases: Record<PolicyRow, { spec: object; ways: Way[] }> = {
  'policy-ingress-deny': {
    spec: { ...of('far'), policyTypes: ['Ingress'] },
    ways: [far('beside', false), far('outside', false), { from: 'far', to: 'near', open: true }],
  },
  'policy-ingress-by-namespace': {
    spec: { ...of('far'), policyTypes: ['Ingress'], ingress: [{ from: [outside] }] },
    ways: [far('outside', true), far('beside', false)],
  },
  'policy-ingress-by-port': {
    spec: { ...of('far'), policyTypes: ['Ingress'], ingress: [{ ports: webPort }] },
    ways: [far('beside', true), far('beside', false, ports.second)],
  },
  'policy-egress-deny': {
    spec: { ...of('beside'), policyTypes: ['Egress'] },
    ways: [far('beside', false), far('near', true)],
  },
  'policy-egress-by-namespace': {
    spec: { ...of('beside'), policyTypes: ['Egress'], egress: [{ to: [outside] }] },
    ways: [{ from: 'beside', to: 'outside', open: true }, far('beside', false)],
  },
  'policy-egress-by-port': {
    spec: { ...of('beside'), policyTypes: ['Egress'], egress: [{ ports: webPort }] },
    ways: [far('beside', true), far('beside', false, ports.second)],
  },
};

const kind = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' };

/** Milliseconds: drivers take a moment for a policy, and longer on a busy worker. One that says that it has none is not waited for. */
const patience = 15_000;
const briefly = 2000;

/** Applies a policy, waits until the ways are as it says, and takes it away again. */
export async function enforced(setup: TestSetup, row: PolicyRow): Promise<string> {
  const { spec, ways } = cases[row];
  for (const way of ways) await demandAnswer(setup, way.from, way.to, way.port);
  const policy = { ...kind, metadata: { name: row, namespace: testNamespace }, spec } as KubeObject;
  await setup.hosted.apply(policy);
  try {
    const timeout = setup.driver.notSupported.includes(row) ? briefly : patience;
    let wrong: string | undefined;
    await until(setup, timeout, async () => {
      wrong = (await Promise.all(ways.map((way) => wrongOf(setup, way)))).find((each) => each !== undefined);
      return wrong === undefined;
    });
    if (wrong !== undefined) throw new RowFailure(wrong);
  } finally {
    await setup.hosted.delete(kind, row, testNamespace);
  }
  // The next row begins where nothing is closed any more.
  await until(setup, patience, async () => (await Promise.all(ways.map((way) => isOpen(setup, way)))).every(Boolean));
  const seen = ({ from, to, port, open }: Way) =>
    `${from} to ${to}${port ? `:${port}` : ''} ${open ? 'open' : 'closed'}`;
  return ways.map(seen).join(', ');
}

function until(setup: TestSetup, timeout: number, isSo: () => Promise<boolean>): Promise<boolean | undefined> {
  return waitAtMost({ until: isSo, timeout, every: 500, signal: setup.signal });
}

async function wrongOf(setup: TestSetup, way: Way): Promise<string | undefined> {
  const { from, to, port = ports.web, open } = way;
  if ((await isOpen(setup, way)) === open) return undefined;
  const between = `from ${describePod(setup, from)} to ${describePod(setup, to)}, port ${port},`;
  return open
    ? `the policy allows the way ${between} and it is closed`
    : `the policy denies the way ${between} and it is open`;
}

async function isOpen(setup: TestSetup, { from, to, port }: Way): Promise<boolean> {
  const url = `http://${socketAddress(setup.pods[to].address, port)}/hostname`;
  const dialled = `curl -s -o /dev/null --connect-timeout 1 -m 2 ${url}`;
  return (await runInPod(setup, from, `${dialled} && echo open || echo closed`)) === 'open';
}
