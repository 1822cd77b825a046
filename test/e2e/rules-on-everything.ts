import { expect } from 'vitest';
import { eventually, type Namespace } from './world.ts';

/** A webhook of the tenant's about everything, whose failure counts as a refusal. */
export const webhookOnEverything = (url: string, seconds: number) => `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: everything}
webhooks:
  - name: everything.test.k8sk8s.io
    clientConfig: {url: '${url}'}
    rules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'], scope: '*'}]
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Fail
    timeoutSeconds: ${seconds}
`;

/** @param said as a string of CEL has it between its quotes */
export const policyOnEverything = (said: string) => `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: everything}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*']}]
  validations: [{expression: 'false', messageExpression: ${JSON.stringify(`"${said}"`)}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: everything}
spec: {policyName: everything, validationActions: [Deny]}
`;

/** Writes a rule that is to judge everything, and waits until it does. */
export async function everythingBy(home: Namespace, manifest: string): Promise<void> {
  await home.apply(manifest);
  await eventually(20, async () => {
    const answer = await home.hosted(['create', 'configmap', 'probe', '--dry-run=server']);
    expect(answer.stderr).toContain('everything');
  });
}

/** The API server goes by a rule for a moment after it was deleted. */
export async function forgotten(home: Namespace): Promise<void> {
  await eventually(20, () => home.ask('create', 'configmap', 'probe', '--dry-run=server'));
}
