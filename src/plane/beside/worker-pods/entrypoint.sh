#!/bin/sh
# A pod of the infra cluster as a worker: the first process of the worker pods' image. It prepares the container for a kubelet, lets
# worker.sh, which deploy wrote, configure the kubelet as on any machine, and keeps containerd and the kubelet running.
#
# The shell is dash: BusyBox' shell, as Debian builds it, prefers its own programs, and its unshare knows no --cgroup.
set -eu

log() { echo "worker: $*"; }

# What keeps this pod from being a worker: deploy looks for such lines.
fault() { log "FAULT: $*"; }

# A privileged container has no cgroup namespace. In one of its own, its own cgroup is the root of all that a kubelet makes, so the
# limits of this pod hold for everything inside, and nothing is left when the pod is gone.
if [ -z "${IN_CGROUP_NAMESPACE:-}" ]; then
  IN_CGROUP_NAMESPACE=1 exec unshare --cgroup dash "$0" "$@"
fi

# Not tried yet: the machines of the tests have version 1.
mount_cgroup2() {
  umount /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  # A cgroup that has processes cannot hand controllers down.
  mkdir -p /sys/fs/cgroup/init
  for process in $(cat /sys/fs/cgroup/cgroup.procs); do
    echo "$process" >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true
  done
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || true
  done
}

mount_cgroup1() {
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  while IFS=: read -r _ controllers _; do
    case $controllers in
      '') continue ;;
      name=*) folder=${controllers#name=} given=none,$controllers ;;
      *) folder=$controllers given=$controllers ;;
    esac
    mkdir -p "/sys/fs/cgroup/$folder"
    mount -t cgroup -o "$given" cgroup "/sys/fs/cgroup/$folder"
  done </proc/self/cgroup
}

# FILE TEXT: a file of /proc that reads and writes as something else, so that the infra node keeps its own settings.
cover() {
  copy=/run/covers/$(echo "$1" | tr / _)
  mkdir -p /run/covers
  printf '%s\n' "$2" >"$copy"
  mount -o bind "$copy" "$1"
}

# What this pod may use is what its Node offers to the hosted scheduler.
cover_memory() {
  limit=$((${LIMIT_MEMORY:-0} / 1024))
  total=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)
  if [ "$limit" -gt 0 ] && [ "$limit" -lt "$total" ]; then
    cover /proc/meminfo "$(sed -e "s/^MemTotal:.*/MemTotal: $limit kB/" -e 's/^SwapTotal:.*/SwapTotal: 0 kB/' /proc/meminfo)"
  fi
}

reserved_cpu() {
  have=$(($(grep -c ^processor /proc/cpuinfo) * 1000))
  given=${LIMIT_MILLICORES:-0}
  if [ "$given" -gt 0 ] && [ "$given" -lt "$have" ]; then echo "systemReserved: {cpu: $((have - given))m}"; fi
}

# Settings that are this pod's own, beside those of worker.sh.
kubelet_settings() {
  cat <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
# A worker must not outrank the pods of the infra cluster when memory is short.
oomScoreAdj: 0
failSwapOn: false
# The disk is the infra node's, whose own kubelet looks after it.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
$(reserved_cpu)
END
  # Whoever put archives into the image has no registry to ask whether a pod may have what is in them. Kubelets ask since 1.35; older ones
  # do not know the field, or do not start with it.
  minor=$(kubelet --version | sed -n 's/.* v1\.\([0-9]*\).*/\1/p')
  if [ -d /images ] && [ "${minor:-0}" -ge 35 ]; then echo 'imagePullCredentialsVerificationPolicy: NeverVerify'; fi
}

# containerd and the kubelet read these variables. What this pod reaches by itself is found out: the networks of the hosted cluster and
# HOST by worker.sh, this pod's own network by its address, and the infra cluster's services by the names that pods search for.
settle_proxies() {
  if [ -z "${HTTP_PROXY:-}${HTTPS_PROXY:-}" ]; then return 0; fi
  searched=$(awk '/^search/ { for (i = 2; i <= NF; i++) printf ",.%s", $i }' /etc/resolv.conf)
  NO_PROXY=$(sh /etc/kubernetes/tls/worker.sh without-proxy)$searched
  export NO_PROXY
  log "without a proxy: $NO_PROXY"
}

containerd_settings() {
  cat <<END
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE:-registry.k8s.io/pause:3.10}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
END
}

start_containerd() {
  containerd >>/var/log/containerd.log 2>&1 &
  containerd=$!
  tries=0
  until ctr version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" = 200 ]; then
      log "containerd does not answer"
      tail -n 20 /var/log/containerd.log
      exit 1
    fi
    sleep 0.1
  done
}

# FOLDER: archives there are for workers that reach no registry. The folder of containerd outlives a restart of this container.
import_images() {
  for archive in "$1"/*.tar; do
    [ -e "$archive" ] || return 0
    mark=/var/lib/containerd/imported-${archive##*/}-$(wc -c <"$archive")
    if [ -e "$mark" ]; then continue; fi
    if ctr -n k8s.io images import "$archive" >/dev/null; then touch "$mark"; else log "$archive was not imported"; fi
  done
}

# What the unit of worker.sh starts, as systemd would.
start_kubelet() {
  command=$(sed -n '/^ExecStart=/,/[^\\]$/{s/^ExecStart=//;s/\\$//;p;}' /etc/systemd/system/kubelet.service)
  # shellcheck disable=SC2086
  $command --node-labels=k8sk8s.io/worker-pod=true &
  kubelet=$!
  kubelet_began=$(seconds)
}

seconds() { sed 's/[. ].*//' /proc/uptime; }

# FILE: the CA by which a kubeconfig knows its server.
ca_of() { sed -n 's/^ *certificate-authority-data: *//p' "$1"; }

# A volume keeps the identity of the kubelet. With another CA it has to join anew.
forget_other_cluster() {
  own=/var/lib/kubelet/kubeconfig
  [ -e "$own" ] || return 0
  [ "$(ca_of "$own")" != "$(ca_of /etc/kubernetes/tls/kubeconfig-kubelets)" ] || return 0
  log "the CA of the cluster has changed: this worker joins anew"
  rm -rf "$own" /var/lib/kubelet/pki
}

# Many workers on one infra node use up what its kernel gives to root; kubelets then end with "too many open files".
tell_short_life() {
  instances=$(cat /proc/sys/fs/inotify/max_user_instances 2>/dev/null || echo 0)
  if [ $(($(seconds) - kubelet_began)) -gt 15 ]; then return; fi
  if [ "$instances" -lt 512 ]; then
    fault "the kubelet ends as soon as it has begun. Its infra node allows $instances inotify instances (fs.inotify.max_user_instances), which are enough for about $((instances / 8)) workers: let an administrator raise it there"
  else fault "the kubelet ends as soon as it has begun; the lines above say why"; fi
}

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then mount_cgroup2; else mount_cgroup1; fi
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock
# A kubelet writes these for the whole infra node.
cover /proc/sys/vm/overcommit_memory 1
cover /proc/sys/vm/panic_on_oom 0
cover /proc/sys/kernel/panic 10
cover /proc/sys/kernel/panic_on_oops 1
cover_memory
echo 1 >/proc/sys/net/ipv4/ip_forward
# The infra node may masquerade this pod's packets. Of a packet in vxlan whose inner checksum is still to be computed, the kernel
# then spoils the outer one, and the other worker drops it; so checksums are computed before packets leave this pod.
ethtool -K eth0 tx off >/dev/null || log "eth0 still computes checksums late: workers on other infra nodes may not be reached"
tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
# Of the infra cluster's search domains, pods of the hosted cluster must know nothing.
grep ^nameserver /etc/resolv.conf >/run/resolv.conf
mkdir -p /etc/containerd /etc/kubernetes/kubelet.conf.d
containerd_settings >/etc/containerd/config.toml
kubelet_settings >/etc/kubernetes/kubelet.conf.d/50-worker-pod.conf

settle_proxies

kubelet= containerd=
trap 'log "asked to end"; kill $kubelet $containerd 2>/dev/null; exit 0' TERM INT
start_containerd
log "containerd runs"
import_images /images
log "images imported"
forget_other_cluster
RESOLV_CONF=/run/resolv.conf KUBELET=$(command -v kubelet) sh /etc/kubernetes/tls/worker.sh configure
start_kubelet
log "containerd and kubelet run"
# No Node needs these to be Ready, so it joins meanwhile.
import_images /images/later &
while :; do
  sleep 3 &
  wait $! || true
  if ! kill -0 $containerd 2>/dev/null; then
    log "containerd has ended and is started again"
    start_containerd
  fi
  if ! kill -0 $kubelet 2>/dev/null; then
    tell_short_life
    log "the kubelet has ended and is started again"
    start_kubelet
  fi
done
