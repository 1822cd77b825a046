import { expect, test } from 'vitest';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import { largeTransfers, throughput } from './paths.ts';
import { podNames, RowFailure, type TestSetup } from './setup.ts';

const failed = { code: 1, stdout: '', stderr: 'no answer' };
const printed = (stdout: string) => ({ code: 0, stdout, stderr: '' });

/** Two workers, and what commands in their pods come to, by the pod's name and the command. */
function setupWith(
  answer: (pod: string, command: string) => { code: number; stdout: string; stderr: string },
): TestSetup {
  const node = (name: string) => (['far', 'outside', 'hostFar'].includes(name) ? 'two' : 'one');
  const pod = (name: string, at: number) => ({ name, namespace: 'x', node: node(name), address: `10.2.0.${at}` });
  const exec = async (name: string, _: string, command: string[]) => answer(name, command.at(-1)!);
  return {
    hosted: { exec } as unknown as HostedCluster,
    workers: [{ name: 'one' }, { name: 'two' }],
    pods: Object.fromEntries(podNames.map((name, at) => [name, pod(name, at)])),
    missing: {},
    signal: new AbortController().signal,
  } as unknown as TestSetup;
}

const iperf = (bits: number) => printed(`t,a,1,b,2,3,0-3,9,${bits}`);

test('throughput: what firewalls between workers close is no fault of the network of pods, and what pods cannot is named', async () => {
  const open = setupWith((pod) => iperf(pod === 'hostNear' ? 10e9 : 8e9));
  expect(await throughput(open)).toContain('(80 %)');
  const closed = setupWith((pod) => (pod === 'hostNear' ? failed : iperf(8e9)));
  expect(await throughput(closed)).toMatch(/^8.0 Gbit\/s between pods, .*one itself.*two itself.*no answer/);
  const broken = setupWith((pod) => (pod === 'near' ? failed : iperf(8e9)));
  await expect(throughput(broken)).rejects.toThrow(/near .*on one.* to pod far .*on two/);
  const slow = setupWith((pod) => iperf(pod === 'hostNear' ? 10e9 : 1e7));
  await expect(throughput(slow)).rejects.toThrow(RowFailure);
});

test("large transfers: the MTU that is named is of the sender's own worker", async () => {
  const mtus: Record<string, string> = { near: '1450', far: '1450', hostNear: '1500', hostFar: '1400' };
  const setup = setupWith((pod, command) => {
    if (command.startsWith('cat /sys')) return printed(mtus[pod]!);
    return pod === 'far' ? failed : printed('201');
  });
  await expect(largeTransfers(setup)).rejects.toThrow(/1450 in pods and 1400 on/);
});
