/** Upstream's images, by their full names. */
export const ciliumImages = {
  agent: 'quay.io/cilium/cilium:v1.20.2',
  operator: 'quay.io/cilium/operator-generic:v1.20.2',
};
