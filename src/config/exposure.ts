/*
 * What the rules of the spec have to know of the ways to expose a plane. Of what a way is made, its folder in src/plane/exposures/
 * says.
 */

/**
 * The values of --expose, and by what a connection finds its plane. `name`: a controller tells planes apart by the name in the TLS
 * hello, so that HOST can be no address. `address`: whatever connects to an address and port gets to one plane.
 */
const ways = {
  ingress: 'name',
  gateway: 'name',
  traefik: 'name',
  route: 'name',
  loadbalancer: 'address',
  nodeport: 'address',
  cluster: 'address',
} as const;

export type ExposureName = keyof typeof ways;

/** What is asked here of a spec, whose schema is made of these names. */
interface Exposed {
  expose: ExposureName;
  port?: number;
  nodePort?: number;
}

export const exposureNames = Object.keys(ways) as ExposureName[];

const byName: string[] = exposureNames.filter((name) => ways[name] === 'name');

/** For sentences: `ingress, gateway, traefik or route`. */
export const namesRoutedByName = `${byName.slice(0, -1).join(', ')} or ${byName.at(-1)}`;

export function isRoutedByName({ expose }: Exposed): boolean {
  return byName.includes(expose);
}

/** The same in CEL. @param expose the field, in CEL too */
export const routedByNameInCel = (expose: string) => `${expose} in [${byName.map((name) => `'${name}'`).join(', ')}]`;

/** Names that lead to one plane at most, HOST among them: what exposes it has a rule for each. */
export const maximumHosts = 8;

/** The node port that the spec fixes. With --expose nodeport, the port that people dial is the node port, so either option does. */
export function fixedNodePort({ nodePort, expose, port }: Exposed): number | undefined {
  return nodePort ?? (expose === 'nodeport' ? port : undefined);
}

/** The port that people dial at HOST; undefined of a node port that the infra cluster chooses. */
export function publicPort(spec: Exposed): number | undefined {
  return spec.expose === 'nodeport' ? fixedNodePort(spec) : (spec.port ?? 443);
}
