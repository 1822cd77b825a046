import https from 'node:https';
import { createSecureContext } from 'node:tls';
import type { KubeObject, Pod, Secret } from '../../src/kube/objects.ts';
import { pathOf, resourceOf } from '../../src/kube/resources.ts';
import { isReady } from '../../src/live/pods.ts';
import { askOf, Store, send } from './store.ts';

/**
 * A hosted API beside an infra API that is played: it answers while a pod of the API server is ready there, in the version of
 * that pod's image, with the certificate that the namespace has for it.
 */
export function hostedServer(infra: Store, namespace: string): https.Server {
  const hosted = new Store();
  const path = (kind: string, name?: string) => pathOf(resourceOf({ apiVersion: 'v1', kind }), namespace, name);
  const newest = (): Pod | undefined =>
    (infra.list(path('Pod')) as Pod[])
      .filter((pod) => pod.metadata.labels?.['app.kubernetes.io/name'] === 'kube-apiserver' && isReady(pod))
      .sort((a, b) => (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? ''))[0];

  const SNICallback = (
    _: string,
    done: (error: Error | null, context?: ReturnType<typeof createSecureContext>) => void,
  ) => {
    const { data = {} } = infra.find<Secret>(path('Secret', 'kube-apiserver')) ?? {};
    const text = (file: string) => Buffer.from(data[file] ?? '', 'base64').toString();
    if (newest()) done(null, createSecureContext({ cert: text('apiserver.crt'), key: text('apiserver.key') }));
    else done(new Error('no API server is ready'));
  };

  const server = https.createServer({ SNICallback }, async (request, response) => {
    const ask = await askOf(request);
    const pod = newest();
    if (!pod) return response.destroy();
    const image = pod.spec.containers.find(({ name }) => name === 'kube-apiserver')?.image ?? '';
    if (ask.path === '/readyz') return send(response, { status: 200, body: 'ok' });
    if (ask.path === '/version') return send(response, { status: 200, body: { gitVersion: image.split(':').at(-1) } });
    const answer = hosted.answer(ask);
    const { kind, metadata } = answer.body as KubeObject;
    // There are no workers, so whatever is to run on each of them runs.
    if (kind === 'DaemonSet')
      Object.assign(answer.body as object, { status: { observedGeneration: metadata.generation } });
    return send(response, answer);
  });
  server.on('tlsClientError', () => undefined);
  return server;
}
