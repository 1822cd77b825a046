import { maximumHosts } from '../../../config/exposure.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { render } from '../../../manifests/render.ts';
import { exposingName, tunnelName, tunnelPort } from '../../addresses.ts';
import { type Condition, type Exposure, verdictOf } from '../exposure.ts';
import template from './route.yaml';

/** A Route has one host, so each name has a Route of its own. */
const names = Array.from({ length: 2 * maximumHosts }, (_, index) =>
  index === 0 ? exposingName : `${exposingName}-${index + 1}`,
);

/** OpenShift's Route. */
export const route: Exposure<'route'> = {
  name: 'route',
  leadsTo: "the infra cluster's router",
  kinds: [{ apiVersion: 'route.openshift.io/v1', kind: 'Route', names: [...names, tunnelName] }],
  // Who chooses the host of a Route needs a right of its own.
  rights: [{ group: 'route.openshift.io', resource: 'routes/custom-host', verbs: ['create', 'update'] }],
  objects: ({ ingressAnnotations, tunnelHost }, hosts) =>
    [
      ...hosts.slice(0, names.length).map((host, index) => ({ name: names[index]!, host, port: 'https' })),
      ...(tunnelHost === undefined ? [] : [{ name: tunnelName, host: tunnelHost, port: tunnelPort.name }]),
    ].flatMap((each) =>
      render(
        template,
        {
          ...each,
          annotations: Object.keys(ingressAnnotations).length > 0 ? ingressAnnotations : undefined,
        },
        'route.yaml',
      ),
    ),
  // Each router says whether it has admitted the Route.
  judge: (object) => {
    const { ingress = [] } =
      (object as KubeObject & { status?: { ingress?: { conditions?: Condition[] }[] } }).status ?? {};
    return verdictOf(
      ingress.map(({ conditions = [] }) => conditions),
      ['Admitted'],
    );
  },
};
