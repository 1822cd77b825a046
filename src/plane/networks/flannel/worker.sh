
# flannel's part.

check_network_kernel() {
  check_switch net/bridge/bridge-nf-call-iptables bridge "a pod that dials a Service with a pod on the same worker gets no answer; the setting comes with the module br_netfilter" "echo br_netfilter >/etc/modules-load.d/kubernetes.conf && modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1"
  if has_two_families; then
    check_switch net/bridge/bridge-nf-call-ip6tables ipv6-bridge "the same of Services with IPv6 addresses; the setting comes with the module br_netfilter" "sysctl -w net.bridge.bridge-nf-call-ip6tables=1"
  fi
  if [ -d "$root/sys/module/vxlan" ] || modprobe -n -q vxlan 2>/dev/null || grep -qs '/vxlan\.ko' "$root/lib/modules/$(uname -r)/modules.builtin"; then
    ok vxlan there
  else warn vxlan "the kernel's module vxlan was not found" "flannel connects the workers by vxlan; some distributions keep the module in a package of its own" "install the kernel's extra modules (Ubuntu: linux-modules-extra-\$(uname -r))"; fi
}

check_networks() {
  missing=
  for plugin in bridge host-local loopback portmap; do
    found=
    for folder in $plugins; do [ ! -x "$root$folder/$plugin" ] || found=yes; done
    [ -n "$found" ] || missing="$missing $plugin"
  done
  if [ -n "$missing" ]; then
    fail cni "CNI plugins are missing in $plugins:$missing" "flannel gives pods their network by them" "install the CNI plugins (https://github.com/containernetworking/plugins) into /opt/cni/bin"
  else
    case " $plugins " in
      *' /opt/cni/bin '*) ok cni "$plugins" ;;
      *) fail cni "containerd looks for CNI plugins in $plugins" "flannel puts its plugin into /opt/cni/bin" "bin_dir = \"/opt/cni/bin\" in $(containerd_file), link the other plugins there, and: systemctl restart containerd" ;;
    esac
  fi
  if [ "$networks" != /etc/cni/net.d ]; then
    fail cni-network "containerd looks for networks in $networks" "flannel puts its own into /etc/cni/net.d" "conf_dir = \"/etc/cni/net.d\" in $(containerd_file), and: systemctl restart containerd"
    return
  fi
  flannel=10-flannel.conflist
  first=$({ ls "$root/etc/cni/net.d" 2>/dev/null; echo $flannel; } | grep '\.conf$\|\.conflist$\|\.json$' | sort | sed -n 1p)
  if [ "$first" != $flannel ]; then
    fail cni-network "/etc/cni/net.d/$first stands before flannel's network" "containerd takes the first file, and pods would get a network that leads to no other worker" "rm /etc/cni/net.d/$first"
  else ok cni-network "none before flannel's"; fi
}

mtu_of_pods() { printf ', so %s for pods' $(($1 - 50)); }

