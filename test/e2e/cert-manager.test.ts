import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { binarySets, ensureBinaries, ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { ensureImported } from '../../src/sandbox/containerd.ts';
import { loadState, machineFolder } from '../../src/sandbox/state.ts';
import { imageReferences } from '../../src/sandbox/versions.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { runsAllOf } from '../test-all.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// cert-manager as people install it: its webhook has to be reached by the API server for every object of its kinds. It
// takes about ten minutes to build once, so it is part of `npm run test:all`.

const host = 'issuing.e2e.test';
let home: Namespace;

describe.runIf(runsAllOf('e2e/cert-manager'))('cert-manager in the hosted cluster', () => {
  beforeAll(async () => {
    const reporter = terminalReporter();
    const state = loadState(inject('sandbox'))!;
    const archives = await ensureImages('cert-manager', {}, reporter);
    const files = await ensureBinaries('cert-manager', {}, reporter);
    for (const machine of state.machines.filter(({ role }) => role === 'worker'))
      await ensureImported(machine, machineFolder(state, machine), archives);
    home = await Namespace.open('issuing');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '2'], home));
    for (const crd of binarySets['cert-manager'].filter((name) => name.startsWith('crd-')))
      await home.apply(withoutHelm(readFileSync(files[crd], 'utf8')));
    await home.apply(certManager);
    for (const program of ['controller', 'webhook', 'cainjector']) await home.rolledOut(program, 120, 'cert-manager');
  }, 1_800_000);

  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test('a certificate is issued', () => issues('first'));

  test('its webhook refuses what makes no sense', async () => {
    const answer = await home.hosted(
      ['apply', '-f', '-'],
      certificate('nonsense').replace('privateKey: {', 'privateKey: {size: 7, '),
    );
    expect(answer.stderr).toContain('admission webhook "webhook.cert-manager.io" denied the request');
  });

  test('it goes on after the API server moved to another infra node', async () => {
    await home.withApiServerElsewhere(async () => {
      succeeded(await home.infra('rollout', 'status', 'deployment/kube-apiserver', '--timeout=120s'));
      await issues('second');
    });
  });
});

/** By a self-signed issuer, seen in the Secret. */
async function issues(name: string): Promise<void> {
  // The webhook's own certificate gets into its configuration a moment after it is Ready.
  await eventually(60, () => home.apply(certificate(name)));
  await eventually(60, async () => {
    expect(
      await home.ask('get', 'certificate', name, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'),
    ).toBe('True');
    const pem = await home.ask('get', 'secret', name, '-o', 'jsonpath={.data.tls\\.crt}');
    expect(Buffer.from(pem, 'base64').toString()).toContain('BEGIN CERTIFICATE');
  });
}

const certificate = (name: string) => `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: self-signed}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: ${name}}
spec:
  secretName: ${name}
  dnsNames: [${name}.example]
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: self-signed}
`;

/** The labels that a chart fills in. */
function withoutHelm(manifest: string): string {
  return manifest
    .split('\n')
    .filter((line) => !line.includes('{{'))
    .join('\n')
    .replace(/^ {2}labels:\n(?! {4})/m, '');
}

const pod = (program: 'controller' | 'webhook' | 'cainjector', args: string[], more = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${program}, namespace: cert-manager}
spec:
  selector: {matchLabels: {app: ${program}}}
  template:
    metadata: {labels: {app: ${program}}}
    spec:
      serviceAccountName: cert-manager
      containers:
        - name: ${program}
          image: ${imageReferences[`cert-manager-${program}`]()}
          args: ${JSON.stringify(args)}
          env: [{name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}]
${more}---`;

const webhook = (kind: 'Mutating' | 'Validating', path: string) => `
apiVersion: admissionregistration.k8s.io/v1
kind: ${kind}WebhookConfiguration
metadata:
  name: cert-manager-webhook
  annotations: {cert-manager.io/inject-ca-from-secret: cert-manager/cert-manager-webhook-ca}
webhooks:
  - name: webhook.cert-manager.io
    rules: [{apiGroups: [cert-manager.io, acme.cert-manager.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: ["*/*"]}]
    admissionReviewVersions: [v1]
    matchPolicy: Equivalent
    timeoutSeconds: 10
    failurePolicy: Fail
    sideEffects: None
    clientConfig: {service: {name: cert-manager-webhook, namespace: cert-manager, path: ${path}}}
---`;

// What its chart installs, but for the many narrow roles.
const certManager = `
apiVersion: v1
kind: Namespace
metadata: {name: cert-manager}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cert-manager, namespace: cert-manager}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cert-manager}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: cert-manager, namespace: cert-manager}]
---
apiVersion: v1
kind: Service
metadata: {name: cert-manager-webhook, namespace: cert-manager}
spec: {selector: {app: webhook}, ports: [{name: https, port: 443, targetPort: 10250}]}
---${webhook('Mutating', '/mutate')}${webhook('Validating', '/validate')}${pod('controller', [
  '--cluster-resource-namespace=cert-manager',
  '--leader-election-namespace=cert-manager',
])}${pod('cainjector', ['--leader-election-namespace=cert-manager'])}${pod(
  'webhook',
  [
    '--secure-port=10250',
    '--dynamic-serving-ca-secret-namespace=cert-manager',
    '--dynamic-serving-ca-secret-name=cert-manager-webhook-ca',
    '--dynamic-serving-dns-names=cert-manager-webhook,cert-manager-webhook.cert-manager,cert-manager-webhook.cert-manager.svc',
  ],
  '          readinessProbe: {httpGet: {path: /healthz, port: 6080}, periodSeconds: 1}\n',
)}
`;
