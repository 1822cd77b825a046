
# --- leave ---------------------------------------------------------------------------------------------------------------

end_containers() {
  has ctr && [ -S "$root/run/containerd/containerd.sock" ] || return 0
  for task in $(ctr -n k8s.io tasks ls -q); do
    ctr -n k8s.io tasks kill -s SIGKILL -a "$task" 2>/dev/null || true
    ctr -n k8s.io tasks rm -f "$task" >/dev/null 2>&1 || true
  done
  for container in $(ctr -n k8s.io containers ls -q); do ctr -n k8s.io containers rm "$container" >/dev/null 2>&1 || true; done
}

# FOLDER: what is mounted below it, the deepest first.
mounted_below() { awk -v below="$root$1/" 'index($2, below) == 1 { print $2 }' "$root/proc/mounts" 2>/dev/null | sort -r; }

unmount_below() { mounted_below "$1" | while read -r mounted; do umount "$mounted" || umount -l "$mounted"; done; }

# WORDS: names of the links of which ip says these words; without any, of all.
names_of_links() { ip -o link show 2>/dev/null | awk -F '[:@ ]+' -v words="$1" 'words == "" || index($0 " ", words) { print $2 }'; }

# Of whichever network driver the plane has or had, and of the CNI plugins. Other programs of the machine have links like veth0 as well.
end_links() {
  for link in $(names_of_links ' master cni0 '); do ip link delete "$link" 2>/dev/null || true; done
  for link in $(names_of_links ''); do
    for direction in ingress egress; do
      tc filter show dev "$link" $direction 2>/dev/null | awk '/ cil_/ { for (i = 1; i < NF; i++) if ($i == "pref") print $(i + 1) }' | sort -u |
        while read -r pref; do tc filter delete dev "$link" $direction pref "$pref" 2>/dev/null || true; done
    done
    for wanted in $driver_links cni0; do
      # shellcheck disable=SC2254
      case $link in $wanted) ip link delete "$link" 2>/dev/null || true ;; esac
    done
  done
}

end_network() {
  # The network namespaces of pods that containerd made, each with its end of a pair of links.
  for space in "$root"/run/netns/cni-*; do
    [ -e "$space" ] || continue
    umount "$space" 2>/dev/null || true
    rm -f "$space"
  done
  set -f
  end_links
  set +f
  for pattern in $driver_files /var/lib/cni; do
    unmount_below "$pattern"
    [ -z "$(mounted_below "$pattern")" ] || continue
    # shellcheck disable=SC2086
    rm -rf $root$pattern
  done
  # Cilium puts the networks of others aside.
  for aside in "$root"/etc/cni/net.d/*.cilium_bak; do [ ! -e "$aside" ] || mv "$aside" "${aside%.cilium_bak}"; done
  for tables in iptables ip6tables; do
    has $tables-save || continue
    $tables-save 2>/dev/null | grep -v "KUBE-\|CNI-\|$driver_rules" | $tables-restore 2>/dev/null || true
  done
}

close_firewall() {
  [ -e "$root$marks/firewall" ] && has firewall-cmd || return 0
  while read -r each; do firewall remove "$each"; done <"$root$marks/firewall"
}

restore_machine() {
  if [ -e "$root$marks/zram" ]; then rm -f "$root/etc/systemd/zram-generator.conf"; fi
  close_firewall
  if [ -e "$root$marks/selinux" ]; then sed -i 's/^SELINUX=permissive$/SELINUX=enforcing/' "$root/etc/selinux/config"; setenforce 1; fi
  if grep -qs '^# k8sk8s: ' "$root/etc/fstab"; then sed -i 's/^# k8sk8s: //' "$root/etc/fstab"; say "the lines for swap in /etc/fstab count again from the next boot"; fi
  settings_of_containerd=$root/etc/containerd/config.toml
  if [ -e "$settings_of_containerd.before-k8sk8s" ]; then mv "$settings_of_containerd.before-k8sk8s" "$settings_of_containerd"
  elif [ -e "$root$marks/containerd" ]; then rm -f "$settings_of_containerd"; fi
  # Docker's repository stays as the package does that comes from there.
  if [ -e "$root$repository" ] && has apt-mark; then apt-mark unhold kubelet kubeadm >/dev/null 2>&1 || true; fi
  for each in "$repository" "$keyring" "$repository_of_dnf"; do rm -f "$root$each"; done
  rm -f "$root/etc/modules-load.d/90-k8sk8s.conf" "$root/etc/sysctl.d/90-k8sk8s.conf" \
    "$root/etc/systemd/system/containerd.service.d/90-k8sk8s-proxy.conf" "$root/etc/systemd/system/kubelet.service.d/90-k8sk8s-proxy.conf"
  rm -rf "$root$marks"
}

# Packages stay: other programs may use containerd by now.
leave() {
  read_machine
  read_distribution
  check_root
  [ $failed = 0 ] || exit 1
  for unit in k8sk8s-worker kubelet; do
    systemctl disable -q "$unit" 2>/dev/null || true
    systemctl stop "$unit" 2>/dev/null || true
  done
  end_relay
  end_containers
  unmount_below "$state"
  if [ -n "$(mounted_below "$state")" ]; then
    stop mounts "something is still mounted below $state" "to delete it would delete what is mounted there" "look for it in /proc/mounts, unmount it, and: sh $0 leave"
  fi
  for each in config.yaml kubeconfig pki pods plugins plugins_registry pod-resources device-plugins checkpoints; do rm -rf "$root$state/$each"; done
  rm -f "$root$state"/*_state "$root$state/kubeadm-flags.env" "$root$state/instance-config.yaml"
  # What pods have said is nobody's who gets this machine next.
  rm -rf "$root/var/log/pods" "$root/var/log/containers"
  rm -f "$root/etc/systemd/system/kubelet.service" "$root/etc/systemd/system/k8sk8s-worker.service"
  rm -rf "$root$patches" "$root/etc/kubernetes/kubeadm-join.yaml" "$root/etc/kubernetes/kubelet.conf" "$root/etc/kubernetes/bootstrap-kubelet.conf" "$root/etc/kubernetes/pki"
  end_network
  restore_machine
  systemctl daemon-reload
  # With the settings of before; containers of others go on meanwhile.
  if has containerd; then systemctl restart containerd; fi
  rm -f "$root$tls/kubeconfig-kubelets" "$root$tls/ca.pem"
  say "this machine has left; containerd, the kubelet's program and $tls/worker.sh are still here"
  echo "Next: k8sk8s workers remove $(hostname | tr 'A-Z' 'a-z')   (its Node is still in the cluster)"
}

way=${2:-}
case ${1:-} in
  check) check ;;
  configure) configure ;;
  install) install ;;
  join) join ;;
  kubeadm) kubeadm_files ;;
  leave) leave ;;
  without-proxy)
    read_machine
    without_proxy
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
