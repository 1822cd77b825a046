import { otherImages } from '../src/config/versions.ts';

/** Two pods that answer with their names, on different workers where there are any, behind a Service. */
export const webService = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      containers:
        - name: web
          image: ${otherImages.node}
          command: [node, -e, "require('node:http').createServer((_, answer) => answer.end(process.env.HOSTNAME)).listen(80)"]
          readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{port: 80}]}
`;

/** For a pod of it: asks the Service 20 times by connections of their own, and prints who has answered, each once. */
export const visitWebService = `
const { get } = require('node:http');
const ask = () => new Promise((done, fail) => {
  const request = get({ host: 'web.default.svc', agent: false, timeout: 5000 }, (answer) => answer.setEncoding('utf8').on('data', done));
  request.on('error', fail).on('timeout', () => request.destroy(new Error('no answer in 5 s')));
});
(async () => {
  const names = new Set();
  for (let i = 0; i < 20; i++) names.add(await ask());
  console.log([...names].join('\\n'));
})();`;
