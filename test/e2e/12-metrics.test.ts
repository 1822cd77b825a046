import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { ensureImages } from '../../sandbox/artifacts/ensure.ts';
import { ensureImported } from '../../sandbox/containerd.ts';
import { loadState, machineFolder } from '../../sandbox/state.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// An aggregated API on the workers' own addresses: metrics-server, verifying the kubelets' certificates.

const host = 'metrics.e2e.test';
let home: Namespace;

beforeAll(async () => {
  const state = loadState(inject('sandbox'))!;
  const archives = await ensureImages('metrics-server', {}, terminalReporter());
  for (const machine of state.machines.filter(({ role }) => role === 'worker'))
    await ensureImported(machine, machineFolder(state, machine), archives);
  home = await Namespace.open('metrics');
  succeeded(await sandboxCommand(['host', host], home));
  succeeded(await home.k8sk8s('deploy', '-h', host));
  succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
});

afterAll(async () => {
  await sandboxCommand(['join', '--leave', '-n', home.name], home);
  await home.k8sk8s('destroy', '--yes');
});

test('kubectl top works through metrics-server on hostNetwork, kubelet certificates verified', async () => {
  await home.apply(metricsServer);
  await home.ask('-n', 'kube-system', 'rollout', 'status', 'deployment/metrics-server', '--timeout=120s');
  await eventually(90, async () =>
    expect(await home.ask('top', 'nodes', '--no-headers')).toMatch(/^worker-\d+ +\d+m /),
  );
  expect(await home.ask('-n', 'kube-system', 'top', 'pods', '--no-headers')).toContain('kube-proxy');
});

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
      hostNetwork: true
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
