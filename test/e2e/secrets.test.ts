import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { otherImages } from '../../src/config/versions.ts';
import { machineFolder, requireState } from '../../src/sandbox/state.ts';
import { versionBefore } from '../faults/command-kills.ts';
import { runEveryChange, runEveryLook, runInShort } from '../faults/every-command.ts';
import { Place } from '../faults/place.ts';
import { SecretSearch } from '../faults/secrets.ts';
import { runsAllOf } from '../test-all.ts';
import { asInfraAdmin, Namespace, run, succeeded } from './world.ts';

// Commands are run on a plane, and nothing of its secrets is in what was printed, logged, told by events, recorded, or
// to be seen in pods' specs and in lists of processes. The tests follow each other. `npm run test:all` runs every command, on a
// plane with a worker, which takes some minutes; `npm test` runs those that handle the most secrets.

const namespace = 'told';
const all = runsAllOf('e2e/secrets');
const sandbox = inject('sandbox');

describe('secrets of a plane', { timeout: 1_200_000 }, () => {
  let place: Place;
  let home: Namespace;
  let search: SecretSearch;
  const sandboxCommand = (...args: string[]) =>
    run(process.execPath, [path.resolve('dist/cli.js'), 'sandbox', ...args, '--name', sandbox], { cwd: place?.folder });

  beforeAll(async () => {
    home = await Namespace.open(namespace);
    // For the worker; on this box the name leads to the place's proxy afterwards.
    succeeded(await sandboxCommand('host', `${namespace}.faults.test`));
    place = await Place.open(sandbox, namespace);
    search = new SecretSearch(place);
    search.watchProcesses();
    search.watchPods();
    const deployed = await place.deploy({}, ...(all ? ['--kubernetes-version', versionBefore] : []));
    expect(deployed.code, deployed.stderr).toBe(0);
    if (all) succeeded(await sandboxCommand('join', '-n', namespace, '--workers', '1'));
    await search.collect();
  }, 300_000);

  afterAll(async () => {
    await home.infra('delete', 'pod', 'planted', '--ignore-not-found', '--now');
    if (all) await sandboxCommand('join', '--leave', '-n', namespace);
    await place.destroy();
    await place.close();
  });

  test.skipIf(all)('commands that handle the most secrets do what they are for', async () => {
    await runInShort(place, search);
  });

  test.runIf(all)('commands that look do what they are for', async () => {
    await runEveryLook(place);
    await search.collect();
  });

  test.runIf(all)('commands that change do, too', async () => {
    await runEveryChange(place, search, versionBefore);
  });

  test('and none is in what anybody could hear of it', async () => {
    await search.collect();
    const events = succeeded(await asInfraAdmin('get', 'events', '-A', '-o', 'json'));
    search.hear('events of the infra cluster', events.stdout);
    const state = requireState(sandbox);
    for (const machine of state.machines)
      for (const file of readdirSync(machineFolder(state, machine)).filter((name) => name.endsWith('.log')))
        search.hear(`${file} of ${machine.name}`, readFileSync(path.join(machineFolder(state, machine), file), 'utf8'));
    const report = await search.report();
    console.log(
      `${report.needles} secrets looked for in ${report.texts} texts of ${Math.round(report.characters / 1000)} kB, logs of ${report.logs.length} containers and ${report.processes} command lines`,
    );
    expect(report.findings).toEqual([]);
    expect(report.needles).toBeGreaterThan(all ? 70 : 40);
    for (const each of [
      'etcd-0/etcd',
      'kube-apiserver-',
      'kube-controller-manager-',
      'kube-scheduler-',
      ...(all ? ['kube-system/kube-proxy-', 'kube-system/kubelet-serving-approver-'] : []),
    ])
      expect(
        report.logs.some((log) => log.startsWith(each)),
        `${each} in ${report.logs.join(', ')}`,
      ).toBe(true);
  });

  test('the search finds what is told: a key, a line of another, a token in a command line', async () => {
    const planted = new SecretSearch(place);
    planted.watchProcesses();
    planted.watchPods();
    await planted.collect();
    const { token } = /token: (?<token>\S+)/.exec(
      readFileSync(path.join(place.folder, 'tls/kubeconfig-kubelets'), 'utf8'),
    )!.groups as { token: string };
    const spec = {
      containers: [
        {
          name: 'planted',
          image: otherImages.node,
          command: ['sh', '-c', 'cat /ca/front-proxy-ca.key; sed -n 3p /ca/etcd-ca.key; sleep 2; true', 'sh', token],
          volumeMounts: [{ name: 'ca', mountPath: '/ca' }],
        },
      ],
      volumes: [{ name: 'ca', secret: { secretName: 'k8sk8s-ca' } }],
    };
    const overrides = `--overrides=${JSON.stringify({ spec })}`;
    succeeded(await home.infra('run', 'planted', `--image=${otherImages.node}`, '--restart=Never', overrides));
    const done = ['wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/planted', '--timeout=60s'];
    succeeded(await home.infra(...done));
    const { findings } = await planted.report();
    const found = findings.map(({ what }) => what);
    expect(found).toContain('k8sk8s-ca/front-proxy-ca.key is in: log of planted/planted');
    expect(found).toContain('a private key is in: log of planted/planted');
    expect(found).toContain('k8sk8s-ca/etcd-ca.key is in: log of planted/planted');
    expect(found).toContainEqual(
      expect.stringMatching(/^token in .*kubeconfig-kubelets is in: command line of process/),
    );
  });
});
