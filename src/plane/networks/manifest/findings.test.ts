import { expect, test } from 'vitest';
import { plain } from '../../../base/words.ts';
import { parseSpec } from '../../../config/parse.ts';
import { manifestFindings } from './findings.ts';

const api = { host: 'k.example.com', port: 443 };

function found(networkManifest: string) {
  const spec = parseSpec({ host: 'k.example.com', network: 'manifest', networkManifest }, 'in a test');
  return manifestFindings(spec, api).map(({ says, warning }) => `${warning ? 'warning' : 'line'}: ${plain(says)}`);
}

const daemonSet = (env = '', network = '') => `
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: net, namespace: kube-system}
    data: {network: "${network}", allow: "0.0.0.0/0", service: 192.0.2.1/32}
  - apiVersion: apps/v1
    kind: DaemonSet
    metadata: {name: net, namespace: kube-system}
    spec:
      template:
        spec:
          hostNetwork: true
          containers: [{name: net, env: [${env}], securityContext: {privileged: true}}]
          volumes: [{hostPath: {path: /opt/cni/bin}}, {hostPath: {path: /etc}}, {emptyDir: {}}]
`;

test('a network that is not that of the plane is a warning, and so is none at all', () => {
  expect(found(daemonSet('', '10.244.0.0/16'))[0]).toMatch(/^warning: .*10\.244\.0\.0\/16.*10\.2\.0\.0\/16/);
  expect(found(daemonSet())[0]).toMatch(/^warning: .*spec\.podCIDR/);
  expect(found(daemonSet('', '10.2.0.0/16'))[0]).toMatch(/^line: /);
});

test('where its pods look for the API', () => {
  expect(found(daemonSet())[1]).toMatch(/^line: .*daemonset "net".*Service kubernetes/);
  expect(found(daemonSet('{name: KUBERNETES_SERVICE_HOST, value: k.example.com}'))[1]).toMatch(/^line: /);
  expect(found(daemonSet('{name: KUBERNETES_SERVICE_HOST, value: 10.96.0.1}'))[1]).toMatch(/^warning: .*10\.96\.0\.1/);
  const elsewhere =
    '{name: KUBERNETES_SERVICE_HOST, value: k.example.com}, {name: KUBERNETES_SERVICE_PORT, value: "6443"}';
  expect(found(daemonSet(elsewhere))[1]).toMatch(/^warning: .*k\.example\.com:6443/);
});

test('what of a worker it gets', () => {
  expect(found(daemonSet()).at(-1)).toMatch(/^line: .*\/etc, \/opt\/cni\/bin.*privileged/);
});
