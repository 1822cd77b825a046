/** Upstream's images, by their full names. */
export const flannelImages = {
  agent: 'ghcr.io/flannel-io/flannel:v0.28.10',
  plugin: 'ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3',
};
