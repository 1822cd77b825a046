import { createAuthority, issueLeaf } from '../src/pki/issue.ts';

/** A ConfigMap of this name in namespace default is refused, which only the webhook does. */
export const refusedName = 'webhook-says-no';

/** A Deployment "web" whose pod answers at 8080, and is asked as a webhook about ConfigMaps of namespace default. */
export async function podWithWebhook(): Promise<string> {
  const ca = await createAuthority('webhook');
  const { certificate, key } = await issueLeaf(ca, {
    commonName: 'web',
    dnsNames: ['web.default.svc'],
    usages: ['serverAuth'],
  });
  const base64 = (value: string) => Buffer.from(value).toString('base64');
  return `
apiVersion: v1
kind: Secret
metadata: {name: web}
data: {tls.crt: ${base64(certificate)}, tls.key: ${base64(key)}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data:
  web.mjs: |
    import http from 'node:http';
    import https from 'node:https';
    import { readFileSync } from 'node:fs';
    import { json } from 'node:stream/consumers';
    http.createServer((request, response) => response.end('from a pod')).listen(8080);
    const tls = { cert: readFileSync('/tls/tls.crt'), key: readFileSync('/tls/tls.key') };
    https.createServer(tls, async (request, response) => {
      const { request: { uid, name } } = await json(request);
      const answer = { uid, allowed: name !== '${refusedName}', status: { message: 'refused by a pod' } };
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }));
    }).listen(8443);
    console.log('up');
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: docker.io/library/node:24-slim
          command: [node, /app/web.mjs]
          volumeMounts: [{name: app, mountPath: /app}, {name: tls, mountPath: /tls}]
      volumes: [{name: app, configMap: {name: web}}, {name: tls, secret: {secretName: web}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: web}
webhooks:
  - name: web.test.k8sk8s.io
    clientConfig: {service: {name: web, namespace: default}, caBundle: ${base64(ca.certificate)}}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Fail
    timeoutSeconds: 5
`;
}
