import { otherImages } from '../src/config/versions.ts';

/** Two pods that answer with their names, behind a Service. @param apart what becomes of the second where there is no second worker */
export const webServiceOn = (apart: 'ScheduleAnyway' | 'DoNotSchedule'): string => `apiVersion: apps/v1
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
        - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ${apart}, labelSelector: {matchLabels: {app: web}}}
      containers:
        - name: web
          image: ${otherImages.node}
          command: [node, -e, "require('node:http').createServer((_, answer) => answer.end(process.env.HOSTNAME)).listen(80, () => console.log('serving'))"]
          readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{port: 80}]}
`;

/** On different workers where there are any. */
export const webService = webServiceOn('ScheduleAnyway');

/** For a pod of it: asks the Service 20 times by connections of their own, and prints who has answered, each once. */
export const visitWeb = (host: string): string => `
const { get } = require('node:http');
const ask = () => new Promise((done, fail) => {
  const request = get({ host: '${host}', agent: false, timeout: 5000 }, (answer) => answer.setEncoding('utf8').on('data', done));
  request.on('error', fail).on('timeout', () => request.destroy(new Error('no answer in 5 s')));
});
(async () => {
  const names = new Set();
  for (let i = 0; i < 20; i++) names.add(await ask());
  console.log([...names].join('\\n'));
})();`;

export const visitWebService = visitWeb('web.default.svc');
