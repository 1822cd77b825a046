import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The order of the e2e files, which share one sandbox and run one after the other. No file needs what another file made: each
 * has namespaces of its own, and gives its workers back. The order matters for three reasons, told where it does.
 */
export const order = [
  // What everything else stands on: when this fails, what fails later says nothing new.
  'cluster',
  // Compares a deploy with bare processes, so it comes before the infra cluster has much to look after.
  'bench',

  'sandbox',
  'failures',
  'live-changes',
  'availability',
  'diff',
  'bootstrap-policy',
  'volume',
  'workers',
  'egress',
  'identity',
  'attacks',
  'konnectivity',
  'credentials',
  'worker-pods',
  'in-cluster-clients',
  'older-minor',
  'upgrade',
  'backup',
  'backup-bucket',
  'sleep',
  'lifetime',
  'class',
  'operator',
  'operator-deletion',
  'seal',
  'rotate-ca',
  'rotate-exposed',
  'etcd-members',
  'etcd-survivor',
  'cert-manager',
  'secrets',

  // These start a second sandbox on the box, which takes memory and processors from whatever runs beside it.
  'sandbox-crash',
  'another-infra-cluster',
  'network-policies',
  // The longest, and of the others' failures it says nothing.
  'conformance',
];

/** What vitest does without it: files that failed first, then the longest, then the largest. */
export class E2eOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = files.filter(({ project }) => project.name !== 'e2e');
    const e2e = files.filter(({ project }) => project.name === 'e2e');
    const place = ({ moduleId }: TestSpecification) => order.indexOf(path.basename(moduleId, '.test.ts'));
    return [...(await super.sort(others)), ...e2e.sort((one, other) => place(one) - place(other))];
  }
}
