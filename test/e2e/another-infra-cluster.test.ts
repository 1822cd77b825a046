import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { otherImages } from '../../src/config/versions.ts';
import { firstInfra, requireState } from '../../src/sandbox/state.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { changedNothing, eventually, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// An infra cluster is lost with all that it had, and the plane in it comes back in another one, from a backup: the worker
// of the plane is elsewhere, as workers are, and goes on. The lost cluster is a sandbox of its own. Two sandboxes' networks
// know nothing of each other, so the box is their router meanwhile. The tests follow each other; some minutes, with `npm run
// test:all`.

const host = 'refuge.e2e.test';
const namespace = 'refuge';
const lostName = 'lost';
const passphrase = ['--passphrase-file', 'passphrase'];

const sandbox = (name: string, ...args: string[]) =>
  run(process.execPath, [path.resolve('dist/cli.js'), 'sandbox', ...args, '--name', name]);

/** Whether the box takes what comes from a sandbox's machines on to other networks. */
function route(name: string, on: boolean): void {
  writeFileSync(`/proc/sys/net/ipv4/conf/${requireState(name).bridge}/forwarding`, on ? '1' : '0');
}

describe.runIf(runsAllOf('e2e/another-infra-cluster'))(
  'restored into another infra cluster',
  { timeout: 300_000 },
  () => {
    // One person with one folder, and rights in a namespace of either cluster.
    let lost: Namespace;
    let home: Namespace;
    let pod: { uid: string; containerId: string };
    let network: string;

    const file = (name: string) => path.join(home.cwd, name);
    const seen = async (name: string) => {
      const { metadata, status } = JSON.parse(await home.ask('get', 'pod', name, '-o', 'json'));
      return { uid: metadata.uid, containerId: status.containerStatuses[0].containerID };
    };
    const web = () => home.ask('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[0].metadata.name}');

    beforeAll(async () => {
      succeeded(await sandbox(lostName, 'up', '--infra-nodes', '1', '--workers', '0'));
      lost = await Namespace.open(namespace, lostName);
      home = await Namespace.open(namespace);
      for (const name of [lostName, home.sandbox]) route(name, true);
      const state = requireState(lostName);
      network = `${state.network}.0/24`;
      succeeded(await sandboxCommand(['host', host, '--address', firstInfra(state).address], home));
      writeFileSync(file('passphrase'), 'correct horse\n');
    });

    afterAll(async () => {
      await run('ip', ['route', 'del', 'unreachable', network]);
      route(home.sandbox, false);
      await sandboxCommand(['join', '--leave', '-n', namespace], home);
      await home.k8sk8s('destroy', '--yes');
      succeeded(await sandbox(lostName, 'down'));
    });

    test('a plane there has a worker here, and is backed up', async () => {
      succeeded(await lost.k8sk8s('deploy', '-h', host));
      succeeded(await sandboxCommand(['join', '-n', namespace, '--workers', '1'], home));
      await home.ask('create', 'configmap', 'kept');
      await home.ask('create', 'secret', 'generic', 'kept', '--from-literal=word=plain');
      await home.ask('create', 'deployment', 'web', `--image=${otherImages.node}`, '--', 'sleep', '3600');
      await home.rolledOut('web', 120);
      await home.rolledOut('kube-dns', 120, 'kube-system');
      pod = await seen(await web());
      await eventually(60, async () => expect(await inCluster()).toContain('gitVersion'));
      succeeded(await lost.k8sk8s('backup', 'create', 'last', ...passphrase));
      copyFileSync(file('tls/kubeconfig'), file('before.kubeconfig'));
      copyFileSync(file('tls/ca.pem'), file('before.pem'));
    });

    test('while it runs it does not get a twin, and the way to end it leads through its own cluster', async () => {
      const answer = await home.k8sk8s('restore', 'last', ...passphrase);
      expect(answer.code).toBe(2);
      expect(answer).toEqual(refused('old-plane-alive', `https://${host}:443`));
      expect((await home.infra('get', 'secrets,configmaps', '-o', 'name')).stdout).not.toContain('k8sk8s');
    });

    test('when nothing tells what became of it, somebody has to', async () => {
      succeeded(await sandbox(lostName, 'down'));
      // The box's own way out may lead to somebody who answers for everybody.
      succeeded(await run('ip', ['route', 'replace', 'unreachable', network]));
      const answer = await home.k8sk8s('restore', 'last', ...passphrase);
      expect(answer.code).toBe(2);
      expect(answer).toEqual(refused('old-plane-alive', '--old-plane-is-down'));
      expect((await home.infra('get', 'secrets,configmaps', '-o', 'name')).stdout).not.toContain('k8sk8s');
    });

    test('it comes back, and waits for the name to lead there', async () => {
      const restoring = home.k8sk8s('restore', 'last', ...passphrase, '--old-plane-is-down');
      await eventually(90, async () => succeeded(await home.infra('get', 'deployment', 'kube-apiserver')));
      succeeded(await sandboxCommand(['host', host], home));
      const done = succeeded(await restoring);
      expect(done.stderr).toContain(`https://${host}:443`);
    });

    test('with the same CA, kubeconfigs of before and all objects', async () => {
      const old = async (...args: string[]) =>
        succeeded(await home.hosted(['--kubeconfig=before.kubeconfig', ...args])).stdout;
      for (const name of ['kubeconfig', 'ca.pem'])
        expect(readFileSync(file(`tls/${name}`), 'utf8')).toBe(
          readFileSync(file(name === 'ca.pem' ? 'before.pem' : 'before.kubeconfig'), 'utf8'),
        );
      expect(await old('get', 'configmap', 'kept', '-o', 'name')).toContain('configmap/kept');
      expect(await old('get', 'secret', 'kept', '-o', 'jsonpath={.data.word}')).toBe('cGxhaW4=');
      succeeded(await home.k8sk8s('diff'));
      changedNothing(await home.k8sk8s('deploy'));
    });

    test('the worker comes back by itself, its pod has run all along, and others come', async () => {
      await eventually(180, async () => expect(await home.ask('get', 'nodes')).toMatch(/^worker-\d +Ready /m));
      expect(await seen(await web())).toEqual(pod);
      // By a token of before, by the name and the address that pods know, which lead to a node of this cluster now.
      await eventually(120, async () => expect(await inCluster()).toContain('gitVersion'));
      await home.ask('scale', 'deployment', 'web', '--replicas=2');
      await home.rolledOut('web', 120);
      expect(await home.ask('logs', '-n', 'kube-system', 'daemonset/kube-proxy', '--tail=1')).not.toBe('');
    });

    /** What the API server answers to the pod, which has its token of before. */
    const inCluster = () => home.ask('exec', 'deploy/web', '--', 'node', '-e', askVersion);
  },
);

const askVersion = `
const { readFileSync } = require('node:fs');
const mounted = (name) => readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/' + name, 'utf8');
const headers = { authorization: 'Bearer ' + mounted('token') };
require('node:https')
  .get({ host: 'kubernetes.default.svc', path: '/version', ca: mounted('ca.crt'), headers, timeout: 3000 }, (answer) =>
    answer.pipe(process.stdout))
  .on('timeout', function () { this.destroy(new Error('no answer')); })
  .on('error', (error) => { console.error(error.message); process.exitCode = 1; });`;
