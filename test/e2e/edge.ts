import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { imageReferences } from '../../src/sandbox/versions.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { asInfraAdmin, infraAdminEnvironment, kubectl, run, succeeded } from './world.ts';

/*
 * A second Traefik, beside the sandbox's: it has the providers that the sandbox's has not, its own kinds' and the Gateway API's with
 * the experimental channel. It runs on the second infra node, so HOSTs of these tests lead there.
 */

export const edge = { namespace: 'edge', node: 'infra-2', gateway: 'edge/shared' };

export async function startEdge(): Promise<void> {
  const files = await ensureBinaries('traefik-kinds', {}, quietReporter);
  // Server-side, because one of them is larger than the annotation of a client-side apply may be.
  for (const file of Object.values(files))
    succeeded(await asInfraAdmin('apply', '--server-side', '--force-conflicts', '-f', file));
  succeeded(
    await run(kubectl, ['apply', '--server-side', '-f', '-'], { env: await infraAdminEnvironment(), input: manifest }),
  );
  succeeded(await asInfraAdmin('-n', edge.namespace, 'rollout', 'status', 'deployment/traefik', '--timeout=120s'));
}

/** Nothing of it stays, for a file or a run that comes next: what is still ending could not be made again. */
export async function stopEdge(): Promise<void> {
  const gone = ['delete', '--ignore-not-found', '--timeout=90s', '-f'];
  await run(kubectl, [...gone, '-'], { env: await infraAdminEnvironment(), input: manifest });
  for (const file of Object.values(await ensureBinaries('traefik-kinds', {}, quietReporter)))
    succeeded(await asInfraAdmin(...gone, file));
}

const manifest = `
apiVersion: v1
kind: Namespace
metadata: { name: ${edge.namespace} }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: traefik, namespace: ${edge.namespace} }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: edge:traefik }
rules:
  - apiGroups: [""]
    resources: [services, secrets, namespaces, nodes, pods, configmaps, endpoints]
    verbs: [get, list, watch]
  - { apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch] }
  - { apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses], verbs: [get, list, watch] }
  - { apiGroups: [traefik.io], resources: ["*"], verbs: [get, list, watch] }
  - { apiGroups: [gateway.networking.k8s.io], resources: ["*"], verbs: [get, list, watch, update, patch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: edge:traefik }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edge:traefik }
subjects: [{ kind: ServiceAccount, name: traefik, namespace: ${edge.namespace} }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: edge }
spec: { controllerName: traefik.io/gateway-controller }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: shared, namespace: ${edge.namespace} }
spec:
  gatewayClassName: edge
  listeners:
    - name: tls
      port: 443
      protocol: TLS
      tls: { mode: Passthrough }
      allowedRoutes: { namespaces: { from: All } }
    - name: own
      port: 443
      hostname: own.e2e.test
      protocol: TLS
      tls: { mode: Passthrough }
      allowedRoutes: { namespaces: { from: Same } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: traefik, namespace: ${edge.namespace} }
spec:
  strategy: { type: Recreate }
  selector: { matchLabels: { app: traefik } }
  template:
    metadata: { labels: { app: traefik } }
    spec:
      serviceAccountName: traefik
      hostNetwork: true
      nodeSelector: { kubernetes.io/hostname: ${edge.node} }
      containers:
        - name: traefik
          image: ${imageReferences.traefik()}
          args:
            - --providers.kubernetescrd=true
            - --providers.kubernetesgateway=true
            - --providers.kubernetesgateway.experimentalchannel=true
            - --entrypoints.web.address=:80
            - --entrypoints.websecure.address=:443
            - --global.checknewversion=false
            - --global.sendanonymoususage=false
            - --log.level=INFO
          readinessProbe: { tcpSocket: { port: 443 }, periodSeconds: 1 }
`;
