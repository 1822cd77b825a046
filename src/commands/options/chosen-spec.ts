import type { Command } from 'commander';
import { didYouMean } from '../../base/did-you-mean.ts';
import { UserError } from '../../base/errors.ts';
import { flagOf } from '../../config/flags.ts';
import { parseSpec } from '../../config/parse.ts';
import { type ClusterSpecInput, clusterSpec } from '../../config/schema.ts';
import type { SpecChoice } from '../../operations/deploy/spec-choice.ts';
import { unknownComponents } from '../../plane/component-problems.ts';
import { readClusterFile } from './cluster-file.ts';
import { specFromOptions } from './spec-options.ts';

export interface ChosenSpec {
  /** Values of cluster.yaml that are about this run and that the command line leaves at their default. */
  local: Record<string, string>;
  /** The whole spec: what was given, over what the plane of the namespace was last deployed with, over the defaults. */
  completeIn(namespace: string): SpecChoice;
}

/**
 * What the command line and cluster.yaml say together; the command line wins. What is wrong with the values themselves
 * is said here, before anything is asked of a cluster.
 *
 * @throws UserError (kind `usage`)
 */
export function chooseSpec(command: Command, file: string | undefined): ChosenSpec {
  const reset = fieldsOf(command.getOptionValue('reset') as string[] | undefined);
  const { spec: fromFile, ...rest } = readClusterFile(file);
  const given = { ...fromFile, ...specFromOptions(command) };
  const source = file ? `in ${file} or on the command line` : 'on the command line';
  if (given.host !== undefined) parseSpec(given, source, unknownComponents);
  const local = Object.fromEntries(
    Object.entries(rest).filter(([key, value]) => value !== undefined && command.getOptionValueSource(key) !== 'cli'),
  );
  return {
    local: local as Record<string, string>,
    completeIn: (namespace) => (recorded) => {
      // What never worked is not a choice to keep; only the host, so that a first deploy can be repeated without it.
      const kept: Partial<ClusterSpecInput> =
        recorded?.phase === 'available' ? { ...recorded.spec } : { host: recorded?.spec.host };
      for (const field of reset) delete kept[field];
      // A plane that was reached without a node port has recorded that it needs none; now one is asked for.
      if (given.expose === 'nodeport' || given.nodePort !== undefined) delete kept.allocateNodePorts;
      const whole = { ...kept, ...given };
      // Inside of the infra cluster the service has a name already.
      if (whole.expose === 'cluster') whole.host ??= `apiserver.${namespace}.svc`;
      if (whole.host === undefined) throw noHost(namespace);
      return parseSpec(whole, source, unknownComponents);
    },
  };
}

/** Only a plane that is there has a host that need not be given again. */
function noHost(namespace: string): UserError {
  return new UserError({
    what: `namespace "${namespace}" has no plane yet, and no host was given for one`,
    why: 'workers and kubectl reach the API server by that name, so it goes into certificates and kubeconfigs',
    fix: 'add -h HOST, or --expose cluster, which needs none; if there should be a plane, k8sk8s list shows in which namespaces there are some',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

/** The fields behind the option names given with --reset. */
function fieldsOf(options: string[] = []): (keyof ClusterSpecInput)[] {
  const byFlag = new Map(
    Object.keys(clusterSpec.shape).map((field) => [flagOf(field).replace(/^--/, ''), field as keyof ClusterSpecInput]),
  );
  return options.map((option) => {
    const name = option.replace(/^--/, '');
    const field = byFlag.get(name);
    if (field) return field;
    throw new UserError({
      what: `--reset ${option}: there is no option --${name}${didYouMean(name, [...byFlag.keys()])}`,
      fix: 'name an option of k8sk8s deploy --help',
      anchor: 'bad-values',
      kind: 'usage',
    });
  });
}
