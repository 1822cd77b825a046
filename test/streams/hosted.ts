import https from 'node:https';
import { createSecureContext } from 'node:tls';
import type { KubeObject, Pod, Secret } from '../../src/kube/objects.ts';
import { pathOf, resourceOf } from '../../src/kube/resources.ts';
import { isRunning } from '../../src/live/pod-problems.ts';
import { isReady } from '../../src/live/pods.ts';
import { componentOf } from '../../src/live/seen-pods.ts';
import { askOf, type Store, send } from './store.ts';

/**
 * A hosted API beside an infra API that is played: it answers while a pod of the API server runs there, in the version of that
 * pod's image, with the certificate that the namespace has for it.
 */
export function hostedServer(infra: Store, hosted: Store, namespace: string): https.Server {
  const path = (kind: string, name?: string) => pathOf(resourceOf({ apiVersion: 'v1', kind }), namespace, name);
  /** Who answers: the newest of those that are ready, or else of those that run. */
  const newest = (): Pod | undefined => {
    const running = (infra.list(path('Pod')) as Pod[])
      .filter((pod) => componentOf(pod) === 'kube-apiserver' && isRunning(pod, 'kube-apiserver'))
      .sort((a, b) => (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? ''));
    return running.find(isReady) ?? running[0];
  };

  const SNICallback = (
    _: string,
    done: (error: Error | null, context?: ReturnType<typeof createSecureContext>) => void,
  ) => {
    const { data = {} } = infra.find<Secret>(path('Secret', 'kube-apiserver')) ?? {};
    const text = (file: string) => Buffer.from(data[file] ?? '', 'base64').toString();
    if (newest()) done(null, createSecureContext({ cert: text('apiserver.crt'), key: text('apiserver.key') }));
    else done(new Error('no API server runs'));
  };

  const server = https.createServer({ SNICallback }, async (request, response) => {
    const ask = await askOf(request);
    const pod = newest();
    if (!pod) return response.destroy();
    const image = pod.spec.containers.find(({ name }) => name === 'kube-apiserver')?.image ?? '';
    if (ask.path === '/readyz')
      return send(
        response,
        isReady(pod) ? { status: 200, body: 'ok' } : { status: 500, body: '[-]poststarthook failed' },
      );
    if (ask.path === '/version') return send(response, { status: 200, body: { gitVersion: image.split(':').at(-1) } });
    // A controller that makes it is not played.
    if (ask.path === '/api/v1/namespaces/default/serviceaccounts/default')
      return send(response, { status: 200, body: { metadata: { name: 'default', namespace: 'default' } } });
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
