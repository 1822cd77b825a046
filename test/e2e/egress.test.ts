import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { ensureImported } from '../../src/sandbox/containerd.ts';
import { loadState, machineFolder } from '../../src/sandbox/state.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { podWithWebhook, refusal, refusedName } from '../pod-with-webhook.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// What the API server itself opens connections to, on pod addresses: a webhook, an aggregated API (metrics-server,
// verifying the kubelets' certificates), pods and Services by proxy. The tests follow each other.

const host = 'egress.e2e.test';
let home: Namespace;

beforeAll(async () => {
  const state = loadState(inject('sandbox'))!;
  const archives = await ensureImages('metrics-server', {}, terminalReporter());
  for (const machine of state.machines.filter(({ role }) => role === 'worker'))
    await ensureImported(machine, machineFolder(state, machine), archives);
  home = await Namespace.open('egress');
  succeeded(await sandboxCommand(['host', host], home));
  succeeded(await home.k8sk8s('deploy', '-h', host));
  succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '2'], home));
  await home.apply(metricsServer);
  await home.apply(await podWithWebhook({ name: 'servers', replicas: 2 }));
  await home.rolledOut('servers', 120);
  await home.rolledOut('metrics-server', 120, 'kube-system');
});

afterAll(async () => {
  await sandboxCommand(['join', '--leave', '-n', home.name], home);
  await home.k8sk8s('destroy', '--yes');
});

test('a validating webhook on a pod address refuses an object and lets another pass', webhookJudges);
test('kubectl get --raw reaches a pod and a Service by proxy', proxiesAnswer);
test('kubectl top works through metrics-server on the pod network, kubelet certificates verified', topWorks);

test('status says how pods are reached', async () => {
  expect((await home.k8sk8s('status')).stdout).toMatch(/^Egress: +the API server reaches pods/m);
});

test('the gate is no open proxy: who points a webhook of the hosted cluster elsewhere reaches nothing by it', async () => {
  const etcd = succeeded(await home.infra('get', 'service', 'etcd0', '-o', 'jsonpath={.spec.clusterIP}')).stdout;
  for (const [name, address] of [
    ['etcd', etcd],
    ['nobody', '192.0.2.1'],
  ] as const) {
    await home.apply(stranger(name, address));
    await eventually(30, async () => {
      const answer = await home.hosted(['create', 'configmap', 'asks-a-stranger', '--dry-run=server']);
      expect(answer.stderr).toContain('403 refused by the gate of this control plane');
    });
    await home.ask('delete', 'validatingwebhookconfiguration', name);
  }
  const nothing = await home.hosted(['get', '--raw', `/api/v1/namespaces/default/pods/${await aServer()}:9/proxy/`]);
  expect(nothing.code).not.toBe(0);
  const log = succeeded(await home.k8sk8s('logs', 'kube-apiserver-egress')).stdout;
  expect(log).toContain(`cluster: ${etcd}:443: no node has this address`);
  expect(log).toMatch(/10\.2\.\d+\.\d+:9: .*connection refused/);
});

test('from outside of its pod there is nothing to connect to, and inside it refuses what it must not reach', async () => {
  const inside = async (script: string) =>
    succeeded(
      await home.infra('exec', 'deploy/kube-apiserver', '-c', 'kube-apiserver-egress', '--', 'node', '-e', script),
    ).stdout.trim();
  // State 0A of /proc/net/tcp is LISTEN; one pod has one network, so the API server's port is seen, and it alone.
  const listening = await inside(
    "const {readFileSync:r}=require('fs');console.log((r('/proc/net/tcp','utf8')+r('/proc/net/tcp6','utf8')).split('\\n').filter(l=>/ 0A /.test(l)).map(l=>parseInt(l.trim().split(/\\s+/)[1].split(':').pop(),16)).join())",
  );
  const port = succeeded(
    await home.infra('get', 'service', 'apiserver', '-o', 'jsonpath={.spec.ports[0].nodePort}'),
  ).stdout;
  expect(listening).toBe(port);
  for (const target of [`127.0.0.1:${port}`, '169.254.169.254:80', '10.3.0.1:443', 'etcd0:2379', '10.2.0.5']) {
    const answer = await inside(
      `require('net').connect('/run/egress/egress.sock').on('data',d=>{console.log(String(d).split('\\r\\n')[0]);process.exit()}).write('CONNECT ${target} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')`,
    );
    expect(answer, target).toMatch(/^HTTP\/1\.1 403 refused by the gate/);
  }
});

test('the gate is killed, and the way is there again with the next container', async () => {
  const port = succeeded(
    await home.infra('get', 'service', 'apiserver', '-o', 'jsonpath={.spec.ports[0].nodePort}'),
  ).stdout;
  // An API server that met etcd too early has begun once more already.
  const restarts = async () => Number(/^kube-apiserver +1\/1 +(\d+) /m.exec((await home.k8sk8s('status')).stdout)?.[1]);
  const before = await restarts();
  const pids = execFileSync('pgrep', ['-f', `^node .*--server=https://127.0.0.1:${port}`], { encoding: 'utf8' });
  for (const pid of pids.trim().split('\n')) process.kill(Number(pid), 'SIGKILL');
  await everythingWorks();
  await eventually(30, async () => expect(await restarts()).toBe(before + 1));
});

test('all of it goes on after the API server moved to another infra node', async () => {
  await home.withApiServerElsewhere(async () => {
    succeeded(await home.infra('rollout', 'status', 'deployment/kube-apiserver', '--timeout=60s'));
    await everythingWorks();
  });
});

test('T4: with --egress none the gate stays, and leads to kubelets and their hostNetwork, not to pods', async () => {
  succeeded(await home.k8sk8s('deploy', '--egress', 'none'));
  expect((await home.k8sk8s('status')).stdout).toMatch(/^Egress: +none/m);
  expect((await home.k8sk8s('diff')).code).toBe(0);
  const pod = await aServer();
  await eventually(30, async () => {
    const answer = await home.hosted(['get', '--raw', `/api/v1/namespaces/default/pods/${pod}:8080/proxy/`]);
    expect(answer.stderr).toContain('refused by the gate');
  });
  await eventually(30, () => home.ask('logs', pod, '--tail=1'));
  // kube-proxy answers in the worker's own network, and there on localhost.
  await eventually(30, async () =>
    expect(await home.ask('get', '--raw', `/api/v1/nodes/http:${await aWorker()}:10249/proxy/proxyMode`)).toMatch(
      /^(ip|nf)tables$/,
    ),
  );
});

async function everythingWorks(): Promise<void> {
  await webhookJudges();
  await proxiesAnswer();
  await topWorks();
}

async function webhookJudges(): Promise<void> {
  await eventually(60, async () => {
    const answer = await home.hosted(['create', 'configmap', refusedName, '--dry-run=server']);
    expect(answer.stderr).toContain(refusal);
  });
  await eventually(20, () => home.ask('create', 'configmap', 'fine', '--dry-run=server'));
}

async function proxiesAnswer(): Promise<void> {
  const pod = await aServer();
  await eventually(20, async () => {
    expect(await home.ask('get', '--raw', `/api/v1/namespaces/default/pods/${pod}:8080/proxy/`)).toBe(pod);
    expect(await home.ask('get', '--raw', '/api/v1/namespaces/default/services/servers:http/proxy/')).toMatch(
      /^servers-/,
    );
  });
}

async function topWorks(): Promise<void> {
  await eventually(90, async () =>
    expect(await home.ask('top', 'nodes', '--no-headers')).toMatch(/^worker-\d+ +\d+m /m),
  );
  await eventually(60, async () =>
    expect(await home.ask('-n', 'kube-system', 'top', 'pods', '--no-headers')).toContain('kube-proxy'),
  );
}

/** Name of one of the two pods. */
async function aServer(): Promise<string> {
  return home.ask('get', 'pods', '-l', 'app=servers', '-o', 'jsonpath={.items[0].metadata.name}');
}

async function aWorker(): Promise<string> {
  return home.ask('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}');
}

const stranger = (name: string, address: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {ports: [{port: 443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{port: 443}]
endpoints: [{addresses: [${address}], conditions: {ready: true}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: ${name}}
webhooks:
  - name: ${name}.test.k8sk8s.io
    clientConfig: {service: {name: ${name}, namespace: default}}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Fail
    timeoutSeconds: 5
`;

const metricsServer = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: metrics-server, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: metrics-server}
rules:
  - {apiGroups: [""], resources: [nodes/metrics], verbs: [get]}
  - {apiGroups: [""], resources: [pods, nodes], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: metrics-server}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: metrics-server}
subjects: [{kind: ServiceAccount, name: metrics-server, namespace: kube-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: metrics-server:auth-delegator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:auth-delegator}
subjects: [{kind: ServiceAccount, name: metrics-server, namespace: kube-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: metrics-server-auth-reader, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{kind: ServiceAccount, name: metrics-server, namespace: kube-system}]
---
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {selector: {k8s-app: metrics-server}, ports: [{name: https, port: 443, targetPort: 4443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: metrics-server, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: metrics-server}}
  template:
    metadata: {labels: {k8s-app: metrics-server}}
    spec:
      serviceAccountName: metrics-server
      containers:
        - name: metrics-server
          image: registry.k8s.io/metrics-server/metrics-server:v0.9.0
          args: [--cert-dir=/tmp, --secure-port=4443, --kubelet-preferred-address-types=InternalIP, --kubelet-certificate-authority=/ca/ca.crt, --metric-resolution=15s]
          ports: [{name: https, containerPort: 4443}]
          readinessProbe: {httpGet: {path: /readyz, port: https, scheme: HTTPS}, periodSeconds: 2}
          volumeMounts: [{name: ca, mountPath: /ca}, {name: tmp, mountPath: /tmp}]
      volumes: [{name: ca, configMap: {name: kubelet-serving-ca}}, {name: tmp, emptyDir: {}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  service: {name: metrics-server, namespace: kube-system}
  group: metrics.k8s.io
  version: v1beta1
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 100
  versionPriority: 100
`;
