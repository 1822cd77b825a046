
# --- join: from a bare distribution to a worker ------------------------------------------------------------------------

# What join has changed of the machine, for leave.
marks=/var/lib/k8sk8s
patches=/etc/kubernetes/patches
repository=/etc/apt/sources.list.d/k8sk8s-kubernetes.list
keyring=/etc/apt/keyrings/k8sk8s-kubernetes.asc
repository_of_dnf=/etc/yum.repos.d/k8sk8s-kubernetes.repo

say() { printf '==    %s\n' "$*"; }

# WHAT WHY FIX: ends the script.
stop() {
  fail "$@"
  exit 1
}

read_distribution() {
  identity=$(sed -n 's/^ID=//p; s/^ID_LIKE=//p' "$root/etc/os-release" 2>/dev/null | tr -d '"' | tr '\n' ' ')
  case " $identity " in
    *' flatcar '*) family=flatcar ;;
    *' debian '* | *' ubuntu '*) family=debian ;;
    *' fedora '* | *' rhel '* | *' centos '*) family=fedora ;;
    *) family=unknown ;;
  esac
  # A mirror has all of them, each under its path there.
  packages=${MIRROR:-https://pkgs.k8s.io}
  releases=${MIRROR:-https://dl.k8s.io}
  projects=${MIRROR:-https://github.com}
  docker=${MIRROR:-https://download.docker.com}
  wanted=${KUBELET_VERSION:-$kubernetes_version}
  stream=core:/stable:/v${wanted%.*}
}

prepare() {
  printf 'overlay\nbr_netfilter\nvxlan\n' | put /etc/modules-load.d/90-k8sk8s.conf 644 || exit 1
  for module in overlay br_netfilter vxlan; do modprobe -q "$module" 2>/dev/null || true; done
  {
    printf 'net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables = 1\n'
    if has_two_families; then printf 'net.ipv6.conf.all.forwarding = 1\nnet.bridge.bridge-nf-call-ip6tables = 1\n'; fi
  } | put /etc/sysctl.d/90-k8sk8s.conf 644 || exit 1
  sysctl -q -p "$root/etc/sysctl.d/90-k8sk8s.conf" || true
  swap_off
  selinux_permissive
  open_firewall
  use_proxies
}

swap_off() {
  if [ "$(sed -n '2,$p' "$root/proc/swaps" 2>/dev/null | grep -c .)" = 0 ]; then return 0; fi
  if grep -qs '^ *failSwapOn: *false' "$root$settings"/*.conf; then return 0; fi
  swapoff -a
  if grep -qs '^[^#].*[[:space:]]swap[[:space:]]' "$root/etc/fstab"; then
    sed -i 's/^\([^#].*[[:space:]]swap[[:space:]].*\)$/# k8sk8s: \1/' "$root/etc/fstab"
    say "swap is off; its lines in /etc/fstab are comments now"
  fi
  # Fedora makes swap in compressed memory at each boot, unless there is an empty file of this name.
  if [ -e "$root/usr/lib/systemd/zram-generator.conf" ] && [ ! -e "$root/etc/systemd/zram-generator.conf" ]; then
    : >"$root/etc/systemd/zram-generator.conf"
    : >"$root$marks/zram"
    say "swap in compressed memory (zram) is off"
  fi
}

# https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm/ says why.
selinux_permissive() {
  if ! has getenforce || [ "$(getenforce)" != Enforcing ] || [ "${SELINUX:-}" = keep ]; then return 0; fi
  setenforce 0
  sed -i 's/^SELINUX=enforcing$/SELINUX=permissive/' "$root/etc/selinux/config"
  : >"$root$marks/selinux"
  say "SELinux is permissive now; SELINUX=keep in /etc/kubernetes/worker.env leaves it as it is"
}

# WAY OPENING: add, remove or query; OPENING is port=10250/tcp or source=10.2.0.0/16.
firewall() {
  case $2 in source=*) zone=--zone=trusted ;; *) zone= ;; esac
  # shellcheck disable=SC2086
  firewall-cmd -q --permanent $zone "--$1-$2" && { [ "$1" = query ] || firewall-cmd -q $zone "--$1-$2"; }
}

openings() {
  for each in 10250/tcp 30000-32767/tcp 30000-32767/udp $peer_ports; do echo "port=$each"; done
  for each in $(echo "$pod_cidr,$service_cidr" | tr , ' '); do echo "source=$each"; done
}

# The mark lists what join has opened; what was open before stays so when the machine leaves. Another network driver has other ports.
open_firewall() {
  if ! has firewall-cmd || ! firewall-cmd -q --state 2>/dev/null; then return 0; fi
  mark=$root$marks/firewall
  for each in $(cat "$mark" 2>/dev/null); do
    openings | grep -qxF "$each" || firewall remove "$each"
  done
  opened=
  for each in $(openings); do
    if ! grep -qsxF "$each" "$mark"; then
      if firewall query "$each"; then continue; fi
      firewall add "$each" && say "firewalld lets $each through"
    fi
    opened="$opened$each
"
  done
  printf %s "$opened" >"$mark"
}

# Pods, services, the workers' own network, and the infra cluster's addresses of the API server.
without_proxy() {
  own=$(ip -o -4 address show dev "$device" 2>/dev/null | awk '{ print $4; exit }')${node_ipv6:+,$node_ipv6}
  printf '%s' "127.0.0.1,localhost,.svc,.$dns_domain,$pod_cidr,$service_cidr,$host${server_address:+,$server_address}${advertised:+,$advertised}${own:+,$own}${NO_PROXY:+,$NO_PROXY}"
}

# A word in quotation marks in a unit, where % begins a specifier.
in_unit() { printf %s "$1" | sed 's/[\\"]/\\&/g; s/%/%%/g'; }

use_proxies() {
  proxies_changed=
  if [ -z "${HTTP_PROXY:-}${HTTPS_PROXY:-}" ]; then
    for service in containerd kubelet; do
      dropin=$root/etc/systemd/system/$service.service.d/90-k8sk8s-proxy.conf
      if [ -e "$dropin" ]; then rm "$dropin" && proxies_changed=yes; fi
    done
    return 0
  fi
  # apt, dnf and curl read these.
  export http_proxy="${HTTP_PROXY:-}" https_proxy="${HTTPS_PROXY:-}" no_proxy
  no_proxy=$(without_proxy)
  for service in containerd kubelet; do
    said=$(printf '[Service]\nEnvironment="HTTP_PROXY=%s" "HTTPS_PROXY=%s" "NO_PROXY=%s"\n' "$(in_unit "$http_proxy")" "$(in_unit "$https_proxy")" "$(in_unit "$no_proxy")" |
      put /etc/systemd/system/$service.service.d/90-k8sk8s-proxy.conf) || { echo "$said"; exit 1; }
    echo "$said"
    case $said in *' written') proxies_changed=yes ;; esac
  done
}

# URL FILE
fetch() { curl -fsSL --retry 3 -o "$2" "$1" || stop download "$1 cannot be fetched" "the machine installs from there" "look whether this machine reaches it; MIRROR=URL in /etc/kubernetes/worker.env names another place that has the same paths"; }

# URL FILE: with the checksum that stands beside it, as NAME.sha256.
fetch_checked() {
  fetch "$1" "$2"
  fetch "$1.sha256" "$2.sha256"
  theirs=$(cut -d ' ' -f 1 "$2.sha256")
  ours=$(sha256sum "$2" | cut -d ' ' -f 1)
  rm -f "$2.sha256"
  if [ "$theirs" = "$ours" ]; then return 0; fi
  rm -f "$2"
  stop checksum "$1 is not what $1.sha256 says" "it was cut off or changed on its way" "try again; where it stays so, ask whoever keeps ${1%/*}"
}

# Whether all that has to be installed is there, in the wanted version.
installed() {
  has containerd && has kubelet && [ -x "$root/opt/cni/bin/bridge" ] || return 1
  case $(kubelet --version 2>/dev/null) in *" v$wanted") ;; *) return 1 ;; esac
  [ "$way" != kubeadm ] || has kubeadm
}

not_installed() { stop packages "$1 did not end well" "the lines above are the package manager's own" "repair what it names, and: sh $0 join"; }

# COMMAND: after the first boot of a machine its own updates hold the locks of apt for minutes.
patiently() {
  tries=0
  until "$@" 2>"$root$marks/said"; do
    cat "$root$marks/said" >&2
    tries=$((tries + 1))
    if ! grep -q 'get lock\|frontend lock\|lock directory\|database is locked' "$root$marks/said" || [ $tries -ge 60 ]; then return 1; fi
    sleep 10
  done
  cat "$root$marks/said" >&2
}

install_debian() {
  export DEBIAN_FRONTEND=noninteractive
  needed="containerd ca-certificates curl"
  [ -z "$(relay_unit)" ] || needed="$needed socat"
  # An installation that was cut off goes on; a file that somebody has changed stays as it is.
  patiently dpkg --configure -a --force-confold || not_installed "dpkg --configure -a"
  patiently apt-get update -q || not_installed "apt-get update"
  # shellcheck disable=SC2086
  patiently apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold $needed || not_installed "$needed"
  mkdir -p "$root${keyring%/*}"
  fetch "$packages/$stream/deb/Release.key" "$root$keyring.new"
  # apt reads it as a user of its own.
  chmod 644 "$root$keyring.new"
  mv "$root$keyring.new" "$root$keyring"
  echo "deb [signed-by=$keyring] $packages/$stream/deb/ /" | put "$repository" 644 || exit 1
  patiently apt-get update -q || not_installed "apt-get update"
  names="kubelet"
  [ "$way" != kubeadm ] || names="kubelet kubeadm"
  # shellcheck disable=SC2046
  patiently apt-get install -q -y --no-install-recommends --allow-change-held-packages -o Dpkg::Options::=--force-confold kubernetes-cni $(for name in $names; do echo "$name=$wanted-*"; done) || not_installed "$names $wanted"
  # shellcheck disable=SC2086
  apt-mark hold $names >/dev/null
}

install_fedora() {
  put "$repository_of_dnf" 644 <<END || exit 1
[k8sk8s-kubernetes]
name=Kubernetes
baseurl=$packages/$stream/rpm/
enabled=1
gpgcheck=1
gpgkey=$packages/$stream/rpm/repodata/repomd.xml.key
exclude=kubelet kubeadm kubectl kubernetes-cni
END
  runtime=containerd
  if ! dnf -q list containerd >/dev/null 2>&1; then
    # Rocky and its like have none of their own.
    put /etc/yum.repos.d/k8sk8s-docker.repo 644 <<END || exit 1
[k8sk8s-docker]
name=Docker
baseurl=$docker/linux/rhel/\$releasever/\$basearch/stable
enabled=1
gpgcheck=1
gpgkey=$docker/linux/rhel/gpg
END
    runtime=containerd.io
  fi
  names="kubelet-$wanted"
  [ "$way" != kubeadm ] || names="$names kubeadm-$wanted"
  [ -z "$(relay_unit)" ] || runtime="$runtime socat"
  # shellcheck disable=SC2086
  dnf install -q -y --setopt=disable_excludes=k8sk8s-kubernetes $runtime container-selinux iproute-tc $names || not_installed "$runtime $names"
}

# containerd is a part of Flatcar; /usr cannot be written.
install_flatcar() {
  case $(uname -m) in aarch64) machine=arm64 ;; *) machine=amd64 ;; esac
  names="kubelet"
  [ "$way" != kubeadm ] || names="kubelet kubeadm"
  mkdir -p "$root/opt/bin" "$root/opt/cni/bin"
  for name in $names; do
    fetch_checked "$releases/release/v$wanted/bin/linux/$machine/$name" "$root/opt/bin/$name.new"
    chmod 755 "$root/opt/bin/$name.new"
    mv "$root/opt/bin/$name.new" "$root/opt/bin/$name"
  done
  archive=cni-plugins-linux-$machine-v$cni_plugins_version.tgz
  fetch_checked "$projects/containernetworking/plugins/releases/download/v$cni_plugins_version/$archive" "$root$marks/$archive"
  tar -xzf "$root$marks/$archive" -C "$root/opt/cni/bin" || stop plugins "$archive could not be unpacked into /opt/cni/bin" "the line above says why, such as a full disk" "make room, and: sh $0 join"
  rm "$root$marks/$archive"
}

install_packages() {
  if installed; then
    say "containerd, the CNI plugins and kubelet $wanted are installed"
    return 0
  fi
  say "installing containerd, the CNI plugins and kubelet $wanted from ${MIRROR:-pkgs.k8s.io and the distribution}"
  case $family in
    debian) install_debian ;;
    fedora) install_fedora ;;
    flatcar) install_flatcar ;;
    *) stop distribution "this distribution is not one that join knows: ${identity:-no /etc/os-release}" "it knows Debian, Ubuntu, Fedora, Rocky and Flatcar" "install containerd, runc, the CNI plugins (in /opt/cni/bin) and kubelet $wanted yourself, and: sh $0 join" ;;
  esac
}

# Distributions put CNI plugins elsewhere, and Docker's package switches cri off.
configure_containerd() {
  [ $family != flatcar ] || return 0
  read_containerd
  driver=false
  if has_systemd && [ "$(cgroup_version)" = 2 ]; then driver=true; fi
  if [ "$plugins" = /opt/cni/bin ] && [ "$networks" = /etc/cni/net.d ] && ! printf '%s\n' "$containerd" | grep -q '^ *disabled_plugins *=.*cri' &&
    { [ $driver = false ] || [ "$cgroup_driver" = systemd ]; }; then return 0; fi
  file=$root/etc/containerd/config.toml
  if [ ! -e "$file" ]; then : >"$root$marks/containerd"
  elif [ ! -e "$file.before-k8sk8s" ] && [ ! -e "$root$marks/containerd" ]; then cp -p "$file" "$file.before-k8sk8s"; fi
  default=$(containerd config default) && [ -n "$default" ] || stop containerd-config "containerd does not print its default configuration" "the file is made of that: what containerd has now cannot run a worker" "look at: containerd config default"
  printf '%s\n' "$default" |
    sed "s|SystemdCgroup = .*|SystemdCgroup = $driver|; s|^\( *bin_dir\) = .*|\1 = \"/opt/cni/bin\"|; s|^\( *bin_dirs\) = .*|\1 = [\"/opt/cni/bin\"]|; s|^\( *conf_dir\) = .*|\1 = \"/etc/cni/net.d\"|" |
    put /etc/containerd/config.toml 644 || exit 1
  systemctl restart containerd
}

install() {
  read_machine
  read_distribution
  check_root
  check_files
  [ $failed = 0 ] || exit 1
  mkdir -p "$root$marks"
  prepare
  install_packages
  systemctl daemon-reload
  systemctl enable -q containerd
  # Containers go on while it is started again.
  if [ -n "$proxies_changed" ]; then systemctl restart containerd; else systemctl start containerd; fi
  configure_containerd
}

join() {
  install
  # containerd needs a moment to make its socket.
  for _ in 1 2 3 4 5 6 7 8 9 10; do [ -S "$root/run/containerd/containerd.sock" ] || sleep 1; done
  check || return 1
  configure
  [ $failed = 0 ] || return 1
  systemctl daemon-reload
  # shellcheck disable=SC2086
  systemctl enable -q $units
  # shellcheck disable=SC2086
  systemctl restart $units
  say "the kubelet runs; when it has its certificate this machine is a Node: kubectl get nodes"
}

# --- kubeadm -------------------------------------------------------------------------------------------------------------

# kubeadm takes its kubelet configuration from the cluster, where nothing is known of this machine.
kubeadm_files() {
  read_machine
  [ -n "$server" ] || check_files
  [ -n "$device" ] || check_address
  [ -z "$device" ] || [ -n "$node_ipv6" ] || check_ipv6_address
  [ -n "$(resolvers "$resolv_conf")" ] && [ "$(own_resolvers "$resolv_conf")" = 0 ] || check_resolver
  if [ $failed -gt 0 ]; then
    echo "Nothing was written."
    return 1
  fi
  mkdir -p "$root$settings"
  {
    echo "cgroupDriver: $cgroup_driver"
    echo "resolvConf: $resolv_conf"
    [ "$(cgroup_version)" = 2 ] || echo "failCgroupV1: false"
  } | put "$patches/kubeletconfiguration0+strategic.yaml" || return 1
  put /etc/kubernetes/kubeadm-join.yaml <<END || return 1
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  file:
    kubeConfigPath: $tls/kubeconfig-kubelets
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
  kubeletExtraArgs:
    - name: node-ip
      value: $node_ip${node_ipv6:+,$node_ipv6}
    - name: config-dir
      value: $settings
patches:
  directory: $patches
END
  echo "Next: kubeadm join --config /etc/kubernetes/kubeadm-join.yaml"
}
