import { architecture } from './cache.ts';
import type { BinaryName } from './recipes.ts';

/** Where official releases are served. */
export const kubernetesOrigin = 'https://dl.k8s.io';
const githubOrigin = 'https://github.com';

/** One published file and its published checksum. */
export interface Release {
  url: string;
  /** Text with the SHA-256 of `url`'s file: alone, or in lines of `SUM  NAME`. */
  checksumUrl: string;
  /** Path inside the .tar.gz that `url` is; absent when it is the program itself. */
  member?: string;
}

const kubernetes = (name: string) => (version: string, arch: string) =>
  release(`${kubernetesOrigin}/release/v${version}/bin/linux/${arch}/${name}`);

const etcd = (name: string) => (version: string, arch: string) => {
  const base = `${githubOrigin}/etcd-io/etcd/releases/download/v${version}`;
  const stem = `etcd-v${version}-linux-${arch}`;
  return { url: `${base}/${stem}.tar.gz`, checksumUrl: `${base}/SHA256SUMS`, member: `${stem}/${name}` };
};

const releases: Partial<Record<BinaryName, (version: string, arch: string) => Release>> = {
  'kube-apiserver': kubernetes('kube-apiserver'),
  'kube-controller-manager': kubernetes('kube-controller-manager'),
  'kube-scheduler': kubernetes('kube-scheduler'),
  'kube-proxy': kubernetes('kube-proxy'),
  kubelet: kubernetes('kubelet'),
  kubectl: kubernetes('kubectl'),
  etcd: etcd('etcd'),
  etcdctl: etcd('etcdctl'),
  etcdutl: etcd('etcdutl'),
  coredns: (version, arch) =>
    release(
      `${githubOrigin}/coredns/coredns/releases/download/v${version}/coredns_${version}_linux_${arch}.tgz`,
      'coredns',
    ),
  'flannel-cni': (version, arch) =>
    release(
      `${githubOrigin}/flannel-io/cni-plugin/releases/download/v${version}/cni-plugin-flannel-linux-${arch}-v${version}.tgz`,
      `flannel-${arch}`,
    ),
  traefik: (version, arch) => {
    const base = `${githubOrigin}/traefik/traefik/releases/download/v${version}`;
    return {
      url: `${base}/traefik_v${version}_linux_${arch}.tar.gz`,
      checksumUrl: `${base}/traefik_v${version}_checksums.txt`,
      member: 'traefik',
    };
  },
  // Of flannel, local-path-provisioner and metrics-server no program with a checksum file is published, images only.
};

function release(url: string, member?: string): Release {
  return { url, checksumUrl: `${url}.sha256`, ...(member && { member }) };
}

/** The official release of a program for this box, where there is one. */
export function releaseOf(name: BinaryName, version: string): Release | undefined {
  return releases[name]?.(version, architecture());
}
