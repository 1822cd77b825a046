import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { buildConfig, buildCronJob } from './cronjob.ts';
import type { JobConfig } from './job/config.ts';

const spec = parseSpec({ host: 'k.example.com', imagePullSecret: 'mirror', tolerations: ['infra'] }, 'the test');
const config: JobConfig = {
  toolVersion: '0.1.0',
  namespace: 'demo',
  addresses: { publicServer: '', workerServer: '', nodePort: 1, infraNodes: [] },
  etcdHosts: ['10.0.0.1'],
  recipients: ['age1'],
  keep: 2,
};
const bucket = { bucket: 'backups', prefix: '', region: 'us-east-1', secret: 's3' };
const owner = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'k8sk8s-backup', uid: 'u' } };

// biome-ignore lint/suspicious/noExplicitAny: a rendered object, looked at.
const podOf = (...rest: [JobConfig, string?]): any => {
  const [given, image] = rest;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  return (buildCronJob(spec, 'plane-0', '7 * * * *', given, owner, image) as any).spec.jobTemplate.spec.template.spec;
};

test("with Node's image the program comes in the ConfigMap", async () => {
  const [container] = podOf(config).containers;
  expect(container).toMatchObject({ image: expect.stringContaining('node'), command: ['node', '/config/backup.mjs'] });
  expect(container).not.toHaveProperty('args');
  // A ConfigMap takes 1 MiB.
  for (const each of [config, { ...config, bucket }])
    expect((await buildConfig(each, {})).data!['backup.mjs']!.length).toBeLessThan(900_000);
});

test('with an image of k8sk8s its command line is run, and the ConfigMap has no program', async () => {
  const [container] = podOf(config, 'k8sk8s:1').containers;
  expect(container).toMatchObject({ image: 'k8sk8s:1', args: ['backup', 'job'] });
  expect(container).not.toHaveProperty('command');
  expect(Object.keys((await buildConfig(config, {}, 'k8sk8s:1')).data!)).toEqual(['job.json']);
});

test('a pod has the volume or the keys of the bucket, and nothing that can be written else', () => {
  const writable = (pod: ReturnType<typeof podOf>) =>
    pod.containers[0].volumeMounts.filter((each: { readOnly?: boolean }) => !each.readOnly);
  expect(writable(podOf(config))).toEqual([{ name: 'backups', mountPath: '/backups' }]);
  const pod = podOf({ ...config, bucket });
  expect(writable(pod)).toEqual([]);
  expect(pod.volumes).toContainEqual({ name: 'bucket-keys', secret: { secretName: 's3', defaultMode: 0o440 } });
  expect(pod.volumes).not.toContainEqual(expect.objectContaining({ name: 'backups' }));
  expect(pod).toMatchObject({
    automountServiceAccountToken: false,
    imagePullSecrets: [{ name: 'mirror' }],
    tolerations: [{ key: 'infra' }],
  });
});
