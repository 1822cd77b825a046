import { expect } from 'vitest';
import { podWithWebhook, refusal, refusedName } from '../pod-with-webhook.ts';
import { visitWeb, webServiceOn } from '../web-service.ts';
import { eventually, kubectl, type Namespace, run } from './world.ts';

// What a tenant does with a cluster of two workers. The tests of cluster.test.ts that need its workers are made of these, in this order.

const aWebPod = async (home: Namespace) =>
  (await home.ask('get', 'pods', '-l', 'app=web', '-o', 'name')).split('\n')[0]!;

export async function serviceAnswers(home: Namespace): Promise<void> {
  await home.apply(webServiceOn('DoNotSchedule'));
  await home.rolledOut('web', 90);
  const nodes = (await home.ask('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].spec.nodeName}')).split(' ');
  expect(new Set(nodes).size).toBe(2);
  const address = await home.ask('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  const pods = (await home.ask('get', 'pods', '-l', 'app=web', '-o', 'name')).split('\n');
  for (const pod of pods) {
    for (const target of ['web.default.svc.cluster.local', 'web', address]) {
      await eventually(30, async () => {
        const answers = await home.ask('exec', pod, '--', 'node', '-e', visitWeb(target));
        expect(new Set(answers.split('\n')), `${pod} asks ${target}`).toEqual(
          new Set(pods.map((name) => name.replace('pod/', ''))),
        );
      });
    }
  }
}

export async function tokensAreVerifiable(home: Namespace, host: string): Promise<void> {
  const { issuer, jwks_uri } = JSON.parse(await home.ask('get', '--raw', '/.well-known/openid-configuration'));
  expect(issuer).toBe(`https://${host}`);
  const pod = await aWebPod(home);
  const script = `fetch('${jwks_uri}',{headers:{authorization:'Bearer '+require('fs').readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/token','utf8')}}).then(async(a)=>console.log(a.status,(await a.json()).keys.length))`;
  const ca = 'NODE_EXTRA_CA_CERTS=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt';
  await eventually(40, async () =>
    expect(await home.ask('exec', pod, '--', 'env', ca, 'node', '-e', script)).toBe('200 1'),
  );
}

export async function execLogsAndPortForward(home: Namespace): Promise<void> {
  const pod = await aWebPod(home);
  expect(await home.ask('exec', pod, '--', 'hostname')).toBe(pod.replace('pod/', ''));
  await eventually(20, async () => expect(await home.ask('logs', pod)).toContain('serving'));
  const answer = await run(
    'sh',
    [
      '-c',
      `${kubectl} --kubeconfig=tls/kubeconfig port-forward ${pod} 18080:80 >/dev/null 2>&1 & p=$!; for i in $(seq 50); do curl -sf --max-time 2 http://127.0.0.1:18080 && break; sleep 0.2; done; kill $p`,
    ],
    { env: home.env, cwd: home.cwd },
  );
  expect(answer.stdout.trim()).toBe(pod.replace('pod/', ''));
}

export async function apiFromPod(home: Namespace): Promise<void> {
  const pod = await aWebPod(home);
  const script = `const fs=require('fs'),d='/var/run/secrets/kubernetes.io/serviceaccount/';require('https').get({host:'kubernetes.default.svc',path:'/api',ca:fs.readFileSync(d+'ca.crt'),headers:{Authorization:'Bearer '+fs.readFileSync(d+'token')}},r=>{console.log(r.statusCode);r.resume()})`;
  await eventually(30, async () => expect(await home.ask('exec', pod, '--', 'node', '-e', script)).toBe('200'));
}

export async function nobodyIsAnonymous(home: Namespace, host: string): Promise<void> {
  const ask = async (url: string) =>
    (
      await run(
        'curl',
        ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '10', '--cacert', 'tls/ca.pem', url],
        { cwd: home.cwd },
      )
    ).stdout;
  expect(await ask(`https://${host}/readyz`)).toBe('200');
  expect(await ask(`https://${host}/version`)).toBe('401');
  expect(await ask(`https://${host}/api/v1/namespaces`)).toBe('401');
}

export async function kubeletKeepsToItsNode(home: Namespace): Promise<void> {
  await home.apply('apiVersion: v1\nkind: Secret\nmetadata: {name: private}\nstringData: {a: b}\n');
  const as = (verb: string, ...rest: string[]) =>
    home.hosted(['auth', 'can-i', verb, ...rest, '--as=system:node:worker-1', '--as-group=system:nodes']);
  expect((await as('get', 'secrets/private')).stdout).toMatch(/^no\b/);
  expect((await as('list', 'secrets')).stdout).toMatch(/^no\b/);
}

export async function customResourcesAndPolicies(home: Namespace): Promise<void> {
  await home.apply(policy);
  await home.apply(definition);
  await home.ask('wait', '--for=condition=Established', 'crd/planes.test.k8sk8s.io', '--timeout=30s');
  await eventually(20, () =>
    home.apply('apiVersion: test.k8sk8s.io/v1\nkind: Plane\nmetadata: {name: one}\nspec: {size: 3}\n'),
  );
  await eventually(30, async () => {
    const answer = await home.hosted(['create', 'configmap', 'forbidden-thing']);
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain('not in this house');
  });
}

export async function webhookOnHostNetwork(home: Namespace): Promise<void> {
  await home.apply(
    await podWithWebhook({ name: 'webhook', hostNetwork: true, port: 9443, httpPort: 9080, failurePolicy: 'Ignore' }),
  );
  await home.rolledOut('webhook', 60);
  await eventually(30, async () => {
    const answer = await home.hosted(['create', 'configmap', refusedName]);
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain(refusal);
  });
  await home.ask('delete', 'validatingwebhookconfiguration', 'webhook');
}

const policy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-forbidden}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "!object.metadata.name.startsWith('forbidden')", message: not in this house}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-forbidden}
spec: {policyName: no-forbidden, validationActions: [Deny]}
`;

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: planes.test.k8sk8s.io}
spec:
  group: test.k8sk8s.io
  scope: Namespaced
  names: {plural: planes, singular: plane, kind: Plane}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
`;
