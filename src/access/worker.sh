# What differs from machine to machine is found out here, and not when this file is printed. For any POSIX shell: it is tried
# with dash and with BusyBox.

usage() {
  cat <<'END'
sh worker.sh check      says what keeps this machine from being a worker of the plane; changes nothing
sh worker.sh configure  writes /var/lib/kubelet/config.yaml and the units, after which systemd can start the kubelet
sh worker.sh join       installs what is missing (Debian, Ubuntu, Fedora, Rocky, Flatcar), and does both; it may run again
sh worker.sh install    its first part alone; "install kubeadm" brings kubeadm too
sh worker.sh kubeadm    writes what kubeadm join --config reads; "check kubeadm" is the check for it
sh worker.sh without-proxy  says what this machine reaches without a proxy, as NO_PROXY has it
sh worker.sh leave      makes the machine what it was before join; packages stay

What is found out can be overruled in the environment, or by lines NAME=VALUE in /etc/kubernetes/worker.env:
  NODE_IP      the worker's address (found out: the one with which this machine reaches the API server); of a plane of two families
               ADDRESS,IPV6-ADDRESS (the second one found out: that of the same interface)
  RESOLV_CONF  the file that names the resolvers for pods (found out: /etc/resolv.conf, or what systemd-resolved forwards to)
  KUBELET      the kubelet's program (found out: the one on the PATH)
  MIRROR       a place that has what join installs from, under the paths of pkgs.k8s.io, dl.k8s.io and github.com
  KUBELET_VERSION  for an older kubelet than the API server
  HTTP_PROXY, HTTPS_PROXY, NO_PROXY  for join, containerd and the kubelet
  SELINUX=keep join leaves SELinux enforcing
Settings of the kubelet that are this machine's own: files NAME.conf in /etc/kubernetes/kubelet.conf.d.
END
}

# Unit tests have a folder of their own in place of /.
root=${K8SK8S_ROOT:-}
tls=/etc/kubernetes/tls
settings=/etc/kubernetes/kubelet.conf.d
state=/var/lib/kubelet

failed=0
export LC_ALL=C
# Flatcar has programs of its own there.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/opt/bin

ok() { printf 'ok    %s: %s\n' "$1" "$2"; }

# NAME WHAT WHY FIX
fail() {
  failed=$((failed + 1))
  printf 'FAIL  %s: %s\n      why: %s\n      fix: %s\n' "$1" "$2" "$3" "$4"
}

warn() { printf 'WARN  %s: %s\n      why: %s\n      fix: %s\n' "$1" "$2" "$3" "$4"; }

has() { command -v "$1" >/dev/null 2>&1; }

# --- What is given ---------------------------------------------------------------------------------------------------

# The environment comes before the file.
read_overrides() {
  overrules='NODE_IP RESOLV_CONF KUBELET MIRROR KUBELET_VERSION HTTP_PROXY HTTPS_PROXY NO_PROXY SELINUX'
  for name in $overrules; do eval "given_$name=\${$name:-}"; done
  # shellcheck disable=SC1091
  [ ! -r "$root/etc/kubernetes/worker.env" ] || . "$root/etc/kubernetes/worker.env"
  for name in $overrules; do eval "$name=\${given_$name:-\${$name:-}}"; done
}

# FIELD FILE: the first value of a field of a kubeconfig.
field() { sed -n "s/^[ -]*$1: *//p" "$2" 2>/dev/null | sed -n '1{s/^["'"'"']//;s/["'"'"']$//;p;}'; }

read_server() {
  server=$(field server "$root$tls/kubeconfig-kubelets")
  host=${server#https://}
  port=443
  case $host in *:*) port=${host##*:} host=${host%:*} ;; esac
}

# --- What this machine is --------------------------------------------------------------------------------------------

cgroup_version() { if [ -e "$root/sys/fs/cgroup/cgroup.controllers" ]; then echo 2; else echo 1; fi; }

has_systemd() { [ -d "$root/run/systemd/system" ]; }

# The file that the containerd that runs was started with, or the usual one.
containerd_file() {
  for running in "$root"/proc/[0-9]*/comm; do
    [ "$(cat "$running" 2>/dev/null)" = containerd ] || continue
    given=$(tr '\000' '\n' <"${running%comm}cmdline" | sed -n '/^\(-c\|--config\)$/{n;p;};s/^--config=//p')
    [ -z "$given" ] || { echo "$given"; return; }
  done
  echo /etc/containerd/config.toml
}

# containerd merges the files that its configuration imports; the file alone is read where it cannot be asked.
containerd_configuration() {
  file=$(containerd_file)
  if [ -z "$root" ] && has containerd && containerd -c "$file" config dump 2>/dev/null; then return; fi
  cat "$root$file" 2>/dev/null
}

# Reads TOML of containerd 1 (version 2) and containerd 2 (version 3): KEY SECTION, where SECTION is a pattern for what follows
# the name of the CRI plugin.
cri_value() {
  printf '%s\n' "$containerd" | awk -v key="$1" -v wanted="$2" '
    /^[ \t]*\[/ {
      section = $0
      gsub(/[]["\047 \t]/, "", section)
      next
    }
    {
      name = $0
      sub(/[ \t]*=.*/, "", name)
      gsub(/[ \t"\047]/, "", name)
      if (name != key) next
      at = section
      if (!sub(/^plugins\.io\.containerd\.(grpc\.v1\.cri|cri\.v1\.runtime)\.?/, "", at)) next
      if (at !~ "^" wanted "$") next
      value = $0
      sub(/^[^=]*=[ \t]*/, "", value)
      sub(/[ \t]*#.*$/, "", value)
      gsub(/[]["\047,]/, " ", value)
      gsub(/^ +| +$/, "", value)
      print value
      exit
    }'
}

read_containerd() {
  containerd=$(containerd_configuration)
  runtime=$(cri_value default_runtime_name containerd)
  if [ "$(cri_value SystemdCgroup "containerd\\.runtimes\\.${runtime:-runc}\\.options")" = true ]; then
    cgroup_driver=systemd
  else
    cgroup_driver=cgroupfs
  fi
  plugins=$(cri_value 'bin_dirs' cni)
  [ -n "$plugins" ] || plugins=$(cri_value bin_dir cni)
  plugins=${plugins:-/opt/cni/bin}
  networks=$(cri_value conf_dir cni)
  networks=${networks:-/etc/cni/net.d}
}

resolvers() { sed -n 's/^[ \t]*nameserver[ \t]*\([^ \t#;]*\).*/\1/p' "$root$1" 2>/dev/null; }

# A resolver on a loopback address is another one in each pod: CoreDNS would forward to itself.
own_resolvers() { resolvers "$1" | grep -c '^\(127\.\|::1$\)'; }

read_resolv_conf() {
  resolv_conf=${RESOLV_CONF:-/etc/resolv.conf}
  [ -z "${RESOLV_CONF:-}" ] || return 0
  [ "$(own_resolvers /etc/resolv.conf)" -gt 0 ] || return 0
  for upstream in /run/systemd/resolve/resolv.conf /run/NetworkManager/no-stub-resolv.conf; do
    if [ -n "$(resolvers $upstream)" ] && [ "$(own_resolvers $upstream)" = 0 ]; then
      resolv_conf=$upstream
      return
    fi
  done
}

# Lines of a device and an address.
addresses() { ip -o -4 address show 2>/dev/null | awk '{ sub(/\/.*/, "", $4); if ($4 !~ /^127\./) print $2, $4 }'; }

# Of IPv6: those that stay, and that other machines may reach.
ipv6_addresses() { ip -o -6 address show 2>/dev/null | awk '/scope global/ && !/temporary|deprecated|dadfailed/ { sub(/\/.*/, "", $4); print $2, $4 }'; }

# Whether pods of this plane have IPv6 addresses as well.
has_two_families() { case $pod_cidr in *,*) ;; *) return 1 ;; esac; }

# The first IPv4 address of a name.
resolve() {
  case $1 in *[!0-9.]*) ;; *) echo "$1"; return ;; esac
  { getent ahostsv4 "$1" 2>/dev/null || getent hosts "$1" 2>/dev/null; } | awk '$1 ~ /^[0-9.]+$/ { print $1; exit }'
}

# The address from which packets go to another one; BusyBox cannot say, so the first address of the default route's device.
source_to() {
  way=$(ip route get "$1" 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p' | sed -n 1p)
  if [ -z "$way" ]; then
    device=$(awk '$2 == "00000000" { print $1; exit }' "$root/proc/net/route" 2>/dev/null)
    way=$(addresses | awk -v device="$device" '$1 == device { print $2; exit }')
  fi
  # HOST may lead to this machine itself.
  case $way in 127.*) ;; *) echo "$way" ;; esac
}

read_node_ip() {
  node_ip=${NODE_IP:-}
  node_ip=${node_ip%%,*}
  [ -n "$node_ip" ] || node_ip=$(source_to "${server_address:-192.0.2.1}")
  [ -n "$node_ip" ] || node_ip=$(source_to 192.0.2.1)
  device=$(addresses | awk -v address="$node_ip" '$2 == address { print $1; exit }')
  node_ipv6=
  has_two_families || return 0
  case ${NODE_IP:-} in
    *,*) node_ipv6=$(ipv6_addresses | awk -v address="${NODE_IP#*,}" '$2 == address { print $2; exit }') ;;
    *) node_ipv6=$(ipv6_addresses | awk -v device="$device" '$1 == device { print $2; exit }') ;;
  esac
}

read_kubelet() {
  kubelet=${KUBELET:-$(command -v kubelet 2>/dev/null || true)}
}

read_machine() {
  read_overrides
  read_server
  server_address=$(resolve "$host")
  read_containerd
  read_resolv_conf
  read_node_ip
  read_kubelet
}

# --- check -----------------------------------------------------------------------------------------------------------

check_root() {
  if [ "$(id -u)" = 0 ]; then ok root yes; else
    fail root "you are not root" "the kubelet runs as root, and some of what is looked at is for root alone" "run this with sudo"
  fi
}

check_hostname() {
  name=$(hostname | tr 'A-Z' 'a-z')
  case $name in
    '' | localhost | localhost.* | *[!a-z0-9.-]* | -* | *- | .* | *.)
      fail hostname "the name of this machine, \"$name\", cannot be a Node's" "a Node is named by its host: lower-case letters, digits, - and ., and another name on each worker" "hostnamectl set-hostname NAME"
      ;;
    *) ok hostname "$name" ;;
  esac
}

check_cgroups() {
  version=$(cgroup_version)
  missing=
  for controller in cpu memory pids; do
    if [ "$version" = 2 ]; then
      grep -qw "$controller" "$root/sys/fs/cgroup/cgroup.controllers"
    else
      awk -v name="$controller" '$1 == name && $4 == 1 { found = 1 } END { exit !found }' "$root/proc/cgroups" 2>/dev/null
    fi || missing="$missing $controller"
  done
  if [ -n "$missing" ]; then
    fail cgroup "cgroups (version $version) have no controller for:$missing" "the kubelet does not start without it; some kernels switch the memory controller off" "add cgroup_enable=memory cgroup_memory=1 to the kernel's command line, and reboot"
  else ok cgroup "version $version"; fi
}

check_swap() {
  if [ "$(sed -n '2,$p' "$root/proc/swaps" 2>/dev/null | grep -c .)" = 0 ]; then ok swap off
  elif grep -qs '^ *failSwapOn: *false' "$root$settings"/*.conf; then ok swap "on, and allowed by a file in $settings"
  else
    fail swap "swap is on" "the kubelet does not start with swap unless it is told to" "swapoff -a, and take the line out of /etc/fstab; or allow it: failSwapOn: false in a file of $settings"
  fi
}

# FILE NAME WHY FIX
check_switch() {
  if [ "$(cat "$root/proc/sys/$1" 2>/dev/null)" = 1 ]; then ok "$2" "on"
  else fail "$2" "$(printf %s "$1" | tr / .) is not 1" "$3" "$4"; fi
}

check_kernel() {
  check_switch net/ipv4/ip_forward forwarding "packets of pods are not passed on" "echo net.ipv4.ip_forward=1 >/etc/sysctl.d/90-kubernetes.conf && sysctl --system"
  if has_two_families; then
    check_switch net/ipv6/conf/all/forwarding ipv6-forwarding "IPv6 packets of pods are not passed on" "echo net.ipv6.conf.all.forwarding=1 >/etc/sysctl.d/91-kubernetes.conf && sysctl --system; where the default route comes from router advertisements, accept_ra=2 of that interface as well"
  fi
  check_network_kernel
}

# What a network driver needs of a machine. A driver's worker.sh (src/plane/networks/) comes after this file and has functions of its own
# in the place of these; of a driver without one, nothing is known.
check_network_kernel() { :; }
check_networks() { :; }
# MTU
mtu_of_pods() { :; }

check_containerd() {
  if [ ! -S "$root/run/containerd/containerd.sock" ]; then
    fail containerd "nothing has made /run/containerd/containerd.sock" "the kubelet starts containers by containerd" "install containerd and runc, and: systemctl enable --now containerd"
    return
  fi
  ok containerd "$(containerd_file)"
  if printf '%s\n' "$containerd" | grep -q '^ *disabled_plugins *=.*cri'; then
    fail cri "containerd's plugin cri is switched off" "packages of Docker come with disabled_plugins = [\"cri\"]" "take cri out of disabled_plugins in $(containerd_file), and: systemctl restart containerd"
  else ok cri on; fi
  if [ "$cgroup_driver" = systemd ] && ! has_systemd; then
    fail cgroup-driver "containerd lets systemd make cgroups (SystemdCgroup = true), and this machine does not run systemd" "no container would start" "SystemdCgroup = false in $(containerd_file)"
  elif [ "$cgroup_driver" = cgroupfs ] && has_systemd && [ "$(cgroup_version)" = 2 ]; then
    warn cgroup-driver "containerd makes cgroups itself (SystemdCgroup = false) beside systemd" "two that manage one tree disagree when memory is short" "SystemdCgroup = true in $(containerd_file), restart containerd, and run configure again"
  else ok cgroup-driver "$cgroup_driver"; fi
}

check_kubelet() {
  if [ -z "$kubelet" ] || [ ! -x "$root$kubelet" ]; then
    fail kubelet "there is no kubelet${kubelet:+ at $kubelet}" "this file configures one and brings none" "install kubelet $kubernetes_version, or up to three minors older; KUBELET=/path/to/kubelet when it is not on the PATH"
    return
  fi
  version=$("$root$kubelet" --version 2>/dev/null | sed -n 's/.* v\([0-9.]*\).*/\1/p')
  own=$(expr "${version:-0.0}" : '[0-9]*\.\([0-9]*\)')
  plane=$(expr "$kubernetes_version" : '[0-9]*\.\([0-9]*\)')
  if [ -z "$version" ]; then fail kubelet "$kubelet --version says nothing" "it may be for another kind of processor" "install kubelet $kubernetes_version for $(uname -m)"
  elif [ "$own" -gt "$plane" ] || [ $((plane - own)) -gt 3 ]; then
    warn kubelet "the kubelet is $version, the API server $kubernetes_version" "Kubernetes supports a kubelet that is up to three minors older than the API server, and none that is newer" "install kubelet $kubernetes_version"
  else ok kubelet "$kubelet, version $version"; fi
  # kubeadm brings such a file, and its kubelet is to be started so.
  [ "$way" != kubeadm ] || return 0
  for dropin in "$root"/etc/systemd/system/kubelet.service.d/*.conf "$root"/usr/lib/systemd/system/kubelet.service.d/*.conf "$root"/lib/systemd/system/kubelet.service.d/*.conf; do
    if grep -qs '^ExecStart=.' "$dropin"; then
      fail kubelet-unit "${dropin#"$root"} starts the kubelet in another way" "what is written there stands above the unit that configure writes; the package kubeadm brings such a file" "remove the package kubeadm, or the file; or join by kubeadm: sh $0 kubeadm"
      break
    fi
  done
}

check_port() {
  listening=$(awk 'FNR > 1 && $4 == "0A" && $2 ~ /:280A$/ { print "yes"; exit }' "$root/proc/net/tcp" "$root/proc/net/tcp6" 2>/dev/null)
  if [ -n "$listening" ] && ! cat "$root"/proc/[0-9]*/comm 2>/dev/null | grep -qx kubelet; then
    fail port "something listens on port 10250" "it is the kubelet's; another distribution of Kubernetes may run here" "stop what listens there: ss -ltnp sport = 10250"
  fi
}

check_files() {
  missing=
  for file in kubeconfig-kubelets ca.pem; do [ -r "$root$tls/$file" ] || missing="$missing $tls/$file"; done
  if [ -n "$missing" ]; then fail files "there is no$missing" "with these files the kubelet introduces itself" "upload kubeconfig-kubelets and ca.pem from the folder that deploy wrote (tls/) to $tls"
  elif [ -z "$server" ]; then fail files "$tls/kubeconfig-kubelets names no server" "it may have been cut off" "upload it again"
  else ok files "$server"; fi
}

# The certificates of a file without line ends, one a line.
certificates() { tr -d '\r\n' <"$1" | sed 's/-----END CERTIFICATE-----/&\
/g' | grep BEGIN; }

# 0: of this plane. 1: of another. 2: of none. 3: by kubeadm, of whichever.
earlier_join() {
  [ "$way" != kubeadm ] || [ ! -e "$root/etc/kubernetes/kubelet.conf" ] || return 3
  [ -e "$root$state/kubeconfig" ] || return 2
  [ -r "$root$tls/ca.pem" ] || return 0
  known=$(field certificate-authority-data "$root$state/kubeconfig" | base64 -d 2>/dev/null)
  [ -n "$known" ] || return 0
  certificates "$root$tls/ca.pem" | {
    while read -r certificate; do
      case $(printf %s "$known" | tr -d '\r\n') in *"$certificate"*) exit 0 ;; esac
    done
    exit 1
  }
}

check_earlier_join() {
  earlier_join && joined=0 || joined=$?
  case $joined in
    0)
      before=$(field server "$root$state/kubeconfig")
      if [ "$before" = "$server" ]; then ok earlier-join "of this plane"
      else ok earlier-join "of this plane, at $before; configure changes that to $server"; fi
      ;;
    1) fail earlier-join "this machine has joined another cluster" "$state/kubeconfig trusts a CA that $tls/ca.pem does not have, and the kubelet would go on using it; so it does when the CA of this plane was replaced" "systemctl stop kubelet; rm -rf $state/kubeconfig $state/pki" ;;
    3) fail earlier-join "this machine has joined by kubeadm already" "/etc/kubernetes/kubelet.conf is there, and kubeadm join needs a machine that has none" "nothing where it is a Node of this plane; else: kubeadm reset && sh $0 leave" ;;
    2) ok earlier-join none ;;
  esac
}

check_resolver() {
  if [ -z "$(resolvers "$resolv_conf")" ]; then
    fail resolver "$resolv_conf names no resolver" "CoreDNS forwards to what stands there, and pods resolve no name outside of the cluster" "name a file that has one: RESOLV_CONF=FILE"
  elif [ "$(own_resolvers "$resolv_conf")" -gt 0 ]; then
    fail resolver "$resolv_conf names a resolver of this machine alone: $(resolvers "$resolv_conf" | tr '\n' ' ')" "in a pod that address is the pod itself, so CoreDNS would forward to itself" "name a file with the resolvers that it forwards to: RESOLV_CONF=FILE"
  else ok resolver "$resolv_conf"; fi
}

check_address() {
  others=$(addresses | awk -v address="$node_ip" '$2 != address && $1 !~ /^(cni|flannel|veth|docker)/ { printf " %s (%s)", $2, $1 }')
  if [ -z "$node_ip" ]; then
    fail address "no address of this machine leads to $host" "the worker's address is the one with which it reaches the API server" "set up a route, or choose: NODE_IP=ADDRESS"
  elif [ -z "$device" ]; then
    fail address "this machine does not have the address $node_ip" "the API server and the other workers would not reach it; it has:$(addresses | awk '{ printf " %s (%s)", $2, $1 }')" "NODE_IP=ADDRESS with one of them"
  else
    ok address "$node_ip on $device${others:+; NODE_IP=ADDRESS chooses another:$others}"
    check_ipv6_address
    check_mtu
  fi
}

check_ipv6_address() {
  has_two_families || return 0
  if [ -n "$node_ipv6" ]; then
    ok ipv6-address "$node_ipv6"
    ip -6 route show 2>/dev/null | grep -q '^default' ||
      warn ipv6-route "this machine has no default route for IPv6" "its own programs, and pods with hostNetwork, cannot dial Services by IPv6 addresses: the kernel gives up before kube-proxy's rules have their turn. Other pods can" "ip -6 route add default via ROUTER dev $device, and in the machine's network settings; a route for the networks of services ($service_cidr) is enough"
    return
  fi
  others=$(ipv6_addresses | awk '$1 !~ /^(cni|flannel|veth|docker)/ { printf " %s (%s)", $2, $1 }')
  case ${NODE_IP:-} in
    *,*) fail ipv6-address "this machine does not have the address ${NODE_IP#*,}" "pods of this plane have IPv6 addresses too ($pod_cidr), and workers send packets for them to each other's; it has:${others:- none}" "NODE_IP=$node_ip,ADDRESS with one of them" ;;
    *) fail ipv6-address "$device has no IPv6 address that stays" "pods of this plane have IPv6 addresses too ($pod_cidr), and workers send packets for them to each other's; other interfaces have:${others:- none}" "give $device one, of a private network too (ip address add fd12:3456:789a::1/64 dev $device, and in the machine's network settings)" ;;
  esac
}

check_mtu() {
  mtu=$(cat "$root/sys/class/net/$device/mtu" 2>/dev/null)
  [ -n "$mtu" ] || return 0
  ok mtu "$mtu on $device$(mtu_of_pods "$mtu")"
  # -M do forbids routers to cut a packet; only iputils' ping knows it.
  [ -z "$root" ] && [ -n "$server_address" ] && has ping || return 0
  ping -c 1 -W 1 -M do -s 8 "$server_address" >/dev/null 2>&1 || return 0
  ping -c 1 -W 1 -M do -s $((mtu - 28)) "$server_address" >/dev/null 2>&1 ||
    warn mtu "packets of $mtu bytes do not reach $host, smaller ones do" "connections that carry much hang" "give $device the MTU of the way: ip link set $device mtu N"
}

# Seconds since 1970 of `Mon, 30 Nov 2026 15:00:00 GMT`, as HTTP writes it.
http_seconds() {
  printf '%s\n' "$1" | awk '{
    month = (index("JanFebMarAprMayJunJulAugSepOctNovDec", $3) + 2) / 3
    year = $4 - (month <= 2)
    era = int(year / 400)
    ofera = year - era * 400
    dayofyear = int((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + $2 - 1
    days = era * 146097 + ofera * 365 + int(ofera / 4) - int(ofera / 100) + dayofyear - 719468
    split($5, time, ":")
    printf "%.0f\n", days * 86400 + time[1] * 3600 + time[2] * 60 + time[3]
  }'
}

# Asks the API server; what follows is read by curl from its standard input, so that no list of processes shows it.
ask() { curl -sS --noproxy '*' --max-time 10 -o /dev/null -D - -K - "$@" "$server/readyz" 2>&1; }

ask_with_openssl() {
  case $host in *[!0-9.]*) named="-servername $host -verify_hostname $host" ;; *) named="-verify_ip $host" ;; esac
  # shellcheck disable=SC2086
  printf 'GET /readyz HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n' "$host" |
    timeout 10 openssl s_client -connect "$host:$port" $named -CAfile "$root$tls/ca.pem" -verify_return_error -quiet 2>&1
}

check_clock() {
  theirs=$(printf '%s\n' "$1" | sed -n 's/^[Dd]ate: *\(.*GMT\).*/\1/p' | sed -n 1p)
  [ -n "$theirs" ] || return 0
  ahead=$(($(date +%s) - $(http_seconds "$theirs")))
  if [ $ahead -gt 60 ] || [ $ahead -lt -60 ]; then
    fail clock "the clock of this machine is $ahead seconds ahead of the API server's" "certificates are valid for a time, and are refused before and after it" "switch time synchronization on: timedatectl set-ntp true"
    return 1
  fi
  ok clock "$ahead seconds ahead of the API server's"
}

check_server() {
  [ -n "$server" ] && [ -r "$root$tls/ca.pem" ] || return 0
  if [ -z "$server_address" ]; then
    fail host "$host does not resolve" "the kubelet dials $server" "add a record to your DNS, or a line to /etc/hosts"
    return
  fi
  ok host "$host is $server_address"
  if has curl; then
    token=$(field token "$root$tls/kubeconfig-kubelets")
    answer=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | ask --cacert "$root$tls/ca.pem") && told=0 || told=$?
    # Without a look at the certificate, and without the token: only for what its clock says.
    [ $told = 0 ] || doubtful=$(ask -k </dev/null)
  elif has openssl; then
    answer=$(ask_with_openssl) && told=0 || told=$?
    case $answer in *HTTP/*) told=0 ;; esac
    doubtful=
  else
    warn server "whether $server answers was not tried" "there is neither curl nor openssl here" "install curl"
    return
  fi
  if [ $told != 0 ]; then
    check_clock "$doubtful" || return 0
    fail server "no API server of this plane answers at $server" "$(what_was_wrong)" "look whether $server_address:$port can be reached from here, leads to the plane (k8sk8s status), and whether ca.pem is of this plane"
    return
  fi
  ok server "$server answers, with a certificate of ca.pem"
  check_clock "$answer" || true
  check_token
}

# curl says it in the line that begins with its name, openssl in its last one.
what_was_wrong() {
  wrong=$(printf '%s\n' "$answer" | sed -n 's/^curl: ([0-9]*) //p' | sed -n 1p)
  printf %s "${wrong:-$(printf '%s\n' "$answer" | tail -n 1)}"
}

check_token() {
  case $(printf '%s\n' "$answer" | sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' | tail -n 1) in
    401) ;;
    *) return 0 ;;
  esac
  if earlier_join; then return 0; fi
  has curl || return 0
  fail token "the token in kubeconfig-kubelets is not accepted" "it is valid for 24 hours, or was revoked" "k8sk8s token create --write, and upload kubeconfig-kubelets again"
}

check_disk() {
  full=$(df -P "$root/var/lib" 2>/dev/null | awk 'NR == 2 { sub(/%/, "", $5); print $5 }')
  if [ "${full:-0}" -ge 85 ]; then
    warn disk "the file system of /var/lib is ${full}% full" "the kubelet takes away images from 85%, and pods from 90%" "make room"
  else ok disk "${full:-?}% full"; fi
}

check() {
  read_machine
  check_root
  check_hostname
  check_cgroups
  check_swap
  check_kernel
  check_containerd
  check_networks
  check_kubelet
  check_port
  check_files
  check_earlier_join
  check_resolver
  check_address
  check_server
  check_disk
  if [ $failed -gt 0 ]; then
    echo "$failed of these keep this machine from being a worker."
    return 1
  fi
  echo "This machine can be a worker. Next: sh $0 ${way:-configure}"
}

# --- configure -------------------------------------------------------------------------------------------------------

# FILE: writes its standard input there, whole or not at all.
put() {
  if ! { mkdir -p "$root${1%/*}" && (umask 077 && cat >"$root$1.new") && chmod "${2:-600}" "$root$1.new"; }; then
    rm -f "$root$1.new"
    fail write "$1 cannot be written" "the line above says why, such as a full disk; what was there stays" "make room, and run this again"
    return 1
  fi
  if cmp -s "$root$1.new" "$root$1"; then
    rm "$root$1.new"
    echo "$1 unchanged"
  else
    mv "$root$1.new" "$root$1"
    echo "$1 written"
  fi
}

machine_configuration() {
  kubelet_configuration
  echo "cgroupDriver: $cgroup_driver"
  echo "resolvConf: $resolv_conf"
  # Kubelets of 1.35 and later start on cgroup v1 only when they are told to.
  [ "$(cgroup_version)" = 2 ] || echo "failCgroupV1: false"
}

kubelet_unit() {
  cat <<END
[Unit]
Description=Kubernetes node agent
After=containerd.service network-online.target
Wants=network-online.target
# However often it has ended, it is started again: what was missing may come.
StartLimitIntervalSec=0

[Service]
ExecStart=$kubelet \\
  --config=$state/config.yaml \\
  --config-dir=$settings \\
  --bootstrap-kubeconfig=$tls/kubeconfig-kubelets \\
  --kubeconfig=$state/kubeconfig \\
  --node-ip=$node_ip${node_ipv6:+,$node_ipv6}
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
END
}

# A kubelet that has joined reads no bootstrap kubeconfig any more: its own names the HOST of before.
follow_host() {
  earlier_join || return 0
  before=$(field server "$root$state/kubeconfig")
  [ "$before" != "$server" ] || return 0
  sed "s|^\([ -]*server: *\).*|\1$server|" "$root$state/kubeconfig" | put "$state/kubeconfig"
}

# Of a plane that had --in-cluster loopback: nothing listens there any more, and the address is no worker's.
end_relay() {
  unit=$root/etc/systemd/system/k8s-relay.service
  [ -e "$unit" ] || return 0
  if has systemctl; then
    systemctl disable -q k8s-relay 2>/dev/null || true
    systemctl stop k8s-relay 2>/dev/null || true
  fi
  relayed=$(sed -n 's/^ExecStartPre=.* address add \([^ ]*\) dev lo$/\1/p' "$unit")
  [ -z "$relayed" ] || ip address delete "$relayed" dev lo 2>/dev/null || true
  rm -f "$unit"
}

configure() {
  read_machine
  [ -n "$server" ] || check_files
  [ -n "$device" ] || check_address
  [ -z "$device" ] || [ -n "$node_ipv6" ] || check_ipv6_address
  [ -n "$kubelet" ] || check_kubelet
  [ -n "$(resolvers "$resolv_conf")" ] && [ "$(own_resolvers "$resolv_conf")" = 0 ] || check_resolver
  if [ $failed -gt 0 ]; then
    echo "Nothing was written."
    return 1
  fi
  mkdir -p "$root$settings"
  machine_configuration | put "$state/config.yaml" || return 1
  kubelet_unit | put /etc/systemd/system/kubelet.service 644 || return 1
  units=kubelet
  relay=$(relay_unit)
  if [ -n "$relay" ]; then
    printf '%s\n' "$relay" | put /etc/systemd/system/k8s-relay.service 644 || return 1
    units="k8s-relay kubelet"
  else end_relay; fi
  follow_host || return 1
  if has_systemd; then echo "Next: systemctl daemon-reload && systemctl enable $units && systemctl restart $units"; fi
}
