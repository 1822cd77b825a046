
# Cilium's part. Programs of Cilium 1.20 need what the kernel can since 5.10; its agent mounts what is not mounted.

check_network_kernel() {
  release=$(uname -r)
  major=${release%%.*} minor=${release#*.}
  minor=${minor%%[!0-9]*}
  if [ "$major" -gt 5 ] || { [ "$major" = 5 ] && [ "${minor:-0}" -ge 10 ]; }; then ok kernel "$release"
  else fail kernel "the kernel is $release" "Cilium needs 5.10 or newer" "upgrade the kernel"; fi
  if grep -qw bpf "$root/proc/filesystems" 2>/dev/null; then ok bpf there
  else fail bpf "the kernel has no file system bpf" "Cilium keeps its maps there" "take a kernel with CONFIG_BPF_SYSCALL"; fi
}

