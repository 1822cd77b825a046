/**
 * The core for other programs (docs/adr/0035-the-core-in-another-program.md). A program connects to an infra cluster, chooses a
 * namespace of it, and calls operations; each says in its own file what it returns and throws. Nothing is read from the
 * process, and no file is written that was not asked for.
 *
 * Connections: `chooseContext` for kubeconfigs, files or text; `inClusterConnection` for a pod's service account; or a value of
 * the type `Connection`, made by hand. `InfraOptions.hostedBy` says whether hosted APIs are dialled by their public address or by
 * the address of their services.
 */
export type { Anchor } from '../base/anchors.ts';
export { type Finding, UserError } from '../base/errors.ts';
export { parseSpec } from '../config/parse.ts';
export type { ClusterSpec, ClusterSpecInput } from '../config/schema.ts';
export { connectInfra } from '../kube/connect.ts';
export type { Connection } from '../kube/connection.ts';
export type { InfraCluster, InfraOptions } from '../kube/infra-cluster.ts';
export { type ChosenContext, chooseContext } from '../kubeconfig/choose.ts';
export { inClusterConnection, isInCluster, namespaceInCluster } from '../kubeconfig/in-cluster.ts';
export type { Surroundings } from '../kubeconfig/surroundings.ts';
export { readRecord } from '../live/record.ts';
export type { PlaneRecord } from '../plane/record.ts';
export type { CheckResult } from '../preflight/check.ts';
export { runDeployChecks } from '../preflight/deploy-checks.ts';
export { quietReporter } from '../ui/quiet.ts';
export { completeReporter, type Phase, type Reporter } from '../ui/reporter.ts';
export type { Work } from '../ui/work.ts';
export { type DeployOptions, type DeployResult, deploy } from './deploy/deploy.ts';
export { dryRun, type Export, exportManifests } from './deploy/dry-run.ts';
export type { SpecChoice } from './deploy/spec-choice.ts';
export { destroy } from './destroy.ts';
export { dropHost } from './drop-host.ts';
export { damageOf, defragment, etcdMembers, repairMembers } from './etcd/maintenance.ts';
export { certificateStatus, renewCertificates } from './keys/certificates.ts';
export { encryptionStatus, rotateEncryption } from './keys/encryption-key.ts';
export { exposedStatus, rotateExposed } from './keys/rotate-all.ts';
export { rotateAuthorities } from './keys/rotate-ca/rotate-ca.ts';
export { rotationStatus } from './keys/rotate-ca/rotation-status.ts';
export { keyStatus, rotateServiceAccountKey } from './keys/service-account-key.ts';
export { type ListedPlane, listPlanes } from './list.ts';
export { followLog, readLog } from './logs.ts';
export { probeNetwork } from './network-probe.ts';
export { restore } from './restore/restore.ts';
export { sleepPlane, wakePlane } from './sleep.ts';
export { type PlaneStatus, planeStatus } from './status/status.ts';
export { upgrade } from './upgrade/upgrade.ts';
export { type ScaleResult, scaleWorkers } from './workers/scale.ts';
