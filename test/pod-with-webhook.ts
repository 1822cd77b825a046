import { otherImages } from '../src/config/versions.ts';
import { createAuthority, issueLeaf } from '../src/pki/issue.ts';

/** A ConfigMap of this name in namespace default is refused, which only the webhook does. */
export const refusedName = 'webhook-says-no';
/** How it is refused. */
export const refusal = 'refused by a pod';

interface PodWithWebhook {
  /** Of the Deployment and of all that belongs to it. */
  name: string;
  /** How many pods; several are each on a node of its own. */
  replicas: number;
  hostNetwork: boolean;
  /** Where the pod answers with its name. */
  httpPort: number;
  /** Where it is asked as a webhook. */
  port: number;
  failurePolicy: 'Fail' | 'Ignore';
}

/** A Deployment whose pod answers with its name, and is asked as a webhook about ConfigMaps of namespace default; its Service has both. */
export async function podWithWebhook(options: Partial<PodWithWebhook> = {}): Promise<string> {
  const wanted = { name: 'web', replicas: 1, hostNetwork: false, httpPort: 8080, port: 8443, ...options };
  const { name, replicas, hostNetwork, httpPort, port, failurePolicy = 'Fail' } = wanted;
  const ca = await createAuthority('webhook');
  const { certificate, key } = await issueLeaf(ca, {
    commonName: name,
    dnsNames: [`${name}.default.svc`],
    usages: ['serverAuth'],
  });
  const base64 = (value: string) => Buffer.from(value).toString('base64');
  const apart = `[{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: ${name}}}}]`;
  return `
apiVersion: v1
kind: Secret
metadata: {name: ${name}}
data: {tls.crt: ${base64(certificate)}, tls.key: ${base64(key)}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ${name}}
data:
  web.mjs: |
    import http from 'node:http';
    import https from 'node:https';
    import { readFileSync } from 'node:fs';
    import { json } from 'node:stream/consumers';
    http.createServer((request, response) => response.end(process.env.POD_NAME)).listen(${httpPort});
    const tls = { cert: readFileSync('/tls/tls.crt'), key: readFileSync('/tls/tls.key') };
    https.createServer(tls, async (request, response) => {
      const { request: { uid, name } } = await json(request);
      const answer = { uid, allowed: name !== '${refusedName}', status: { message: '${refusal}' } };
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }));
    }).listen(${port});
    console.log('up');
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      hostNetwork: ${hostNetwork}
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints: ${apart}
      containers:
        - name: web
          image: ${otherImages.node}
          command: [node, /app/web.mjs]
          env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
          readinessProbe: {tcpSocket: {port: ${port}}, periodSeconds: 1}
          volumeMounts: [{name: app, mountPath: /app}, {name: tls, mountPath: /tls}]
      volumes: [{name: app, configMap: {name: ${name}}}, {name: tls, secret: {secretName: ${name}}}]
---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec:
  selector: {app: ${name}}
  ports: [{name: http, port: 80, targetPort: ${httpPort}}, {name: https, port: 443, targetPort: ${port}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: ${name}}
webhooks:
  - name: ${name}.test.k8sk8s.io
    clientConfig: {service: {name: ${name}, namespace: default}, caBundle: ${base64(ca.certificate)}}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: ${failurePolicy}
    timeoutSeconds: 5
`;
}
