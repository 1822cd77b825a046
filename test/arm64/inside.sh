# In user, mount, network, PID, IPC and cgroup namespaces of its own, so that nothing of the box changes: the emulator is registered in an
# instance of binfmt_misc that belongs to the user namespace (Linux 6.7). It begins when its owner has written the maps of users.
# ROOT QEMU WORK PROGRAM: see main.ts
set -eu
read -r _

mount -t proc proc /proc
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
# The header of an ELF file for AArch64. F: the emulator is opened now, so that it needs not be in the containers.
printf %s ':aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$QEMU"':F' >/proc/sys/fs/binfmt_misc/register

# The pod's network, and outside of it what stands in for the API server.
mount -t tmpfs tmpfs /run
ip link set lo up
ip netns add outside
ip link add eth0 type veth peer name eth0 netns outside
ip address add 10.77.0.2/24 dev eth0
ip link set eth0 up
ip route add default via 10.77.0.1
ip netns exec outside ip address add 10.77.0.1/24 dev eth0
ip netns exec outside ip link set eth0 up
ip netns exec outside "$NODE" "$PROGRAM" serve "$WORK" &

mount -t tmpfs tmpfs "$WORK/overlay"
mkdir "$WORK/overlay/upper" "$WORK/overlay/work"
mount -t overlay overlay -o "lowerdir=$WORK/image:$ROOT,upperdir=$WORK/overlay/upper,workdir=$WORK/overlay/work" "$WORK/root"
cd "$WORK/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
# containerd cannot lay an overlay upon an overlay.
mkdir -p var/lib/containerd
mount -t tmpfs tmpfs var/lib/containerd

in_image() { chroot . /usr/bin/env -i PATH=/trial:/usr/local/bin:/usr/sbin:/usr/bin "$@"; }
tell() { echo "TRIAL: $*"; }

tell "architecture $(in_image busybox uname -m)"
tell "$(in_image /usr/sbin/runc --version | head -n 1)"
in_image dash /usr/local/lib/worker.sh &
entrypoint=$!
tries=0
until in_image ctr version >"$WORK/ctr" 2>/dev/null; do
  tries=$((tries + 1))
  [ $tries -lt 60 ] || { tell "containerd does not answer"; break; }
  sleep 1
done
tell "containerd $(sed -n '/^Server/,$s/^ *Version: *//p' "$WORK/ctr")"
mkdir -p trial/bundle/bin
cp usr/bin/busybox trial/bundle/bin/
tell "a container says $(in_image ctr run --rm --cgroup /trial --rootfs /trial/bundle trial /bin/busybox uname -m || true)"
if [ -x usr/local/bin/kubelet ]; then
  tell "$(in_image kubelet --version)"
  until [ -s "$WORK/requests" ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { tell "the kubelet asks nothing of its API server"; break; }
    kill -0 $entrypoint 2>/dev/null || { tell "the entrypoint has ended"; break; }
    sleep 1
  done
  sed 's/^/TRIAL: asked /' "$WORK/requests" | sort -u
fi
# All else ends with this, the first process of its PID namespace.
