import { machineCgroup } from './machine.ts';
import type { MachineState, SandboxState } from './state.ts';

/**
 * Fields of KubeletConfiguration that a kubelet of the sandbox needs because its machine is a set of namespaces on a box that
 * other machines share. No field depends on the cluster.
 */
export function boxSettings(state: SandboxState, machine: MachineState): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    cgroupRoot: `/${machineCgroup(state, machine)}`,
    // Boxes without CAP_SYS_RESOURCE cannot lower a score.
    oomScoreAdj: 0,
    // Images are imported and cannot be pulled again, so a pod with imagePullPolicy Always must not make other pods pull.
    imagePullCredentialsVerificationPolicy: 'NeverVerify',
    imageGCHighThresholdPercent: 100,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    maxPods: 250,
  };
}
