/** Names that lead to one plane at most, HOST among them: what exposes it has a rule for each. */
export const maximumHosts = 8;

/** Ways of --expose whose controller tells planes apart by the name in the TLS hello, so that HOST can be no address. */
export const routedByName: readonly string[] = ['ingress', 'gateway', 'traefik', 'route'];
