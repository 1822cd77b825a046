import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { dump } from 'js-yaml';
import { expect, inject } from 'vitest';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import { operatorNamespace } from '../../src/operator/names.ts';
import type { Condition, HostedControlPlane } from '../../src/operator/object.ts';
import { ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { processesOf } from '../../src/sandbox/cgroup.ts';
import { ensureImported } from '../../src/sandbox/containerd.ts';
import { machineFolder, requireState } from '../../src/sandbox/state.ts';
import { imageReferences } from '../../src/sandbox/versions.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { asInfraAdmin, eventually, k8sk8sAsInfraAdmin, Namespace, succeeded } from './world.ts';

/** The operator in the sandbox, by the image that the Dockerfile makes, and with the rights that `operator install` gives it. */
export async function installOperator(): Promise<void> {
  const state = requireState(inject('sandbox'));
  const archives = await ensureImages(['k8sk8s'], { packageFolder: '.' }, terminalReporter());
  for (const machine of state.machines.filter(({ role }) => role === 'infra'))
    await ensureImported(machine, machineFolder(state, machine), archives);
  succeeded(await k8sk8sAsInfraAdmin('operator', 'install', '--image', imageReferences.k8sk8s()));
}

/** Takes away what uninstall leaves: the definition and its policies. */
export async function removeDefinition(): Promise<void> {
  await k8sk8sAsInfraAdmin('operator', 'uninstall');
  const ours = ['-l', 'app.kubernetes.io/name=k8sk8s-operator', '--ignore-not-found'];
  await asInfraAdmin(
    'delete',
    'validatingadmissionpolicies,validatingadmissionpolicybindings,clusterroles',
    ...ours,
    '--wait=true',
  );
  // A policy goes on holding for a moment.
  await eventually(20, async () =>
    succeeded(await asInfraAdmin('delete', 'crd', 'hostedcontrolplanes.k8sk8s.io', '--ignore-not-found')),
  );
  await asInfraAdmin('delete', 'namespace', operatorNamespace, '--ignore-not-found', '--wait=true');
}

export const operatorPods = (...args: string[]) =>
  asInfraAdmin('-n', operatorNamespace, ...args, '-l', 'app.kubernetes.io/name=k8sk8s-operator');

/** SIGKILL to the operator's process, which is one of this box. @returns how many there were */
export function killOperator(): number {
  const operators = operatorProcesses();
  for (const pid of operators) process.kill(pid, 'SIGKILL');
  return operators.length;
}

/** The operator's processes in this run's sandbox, as this box sees them. Another sandbox may have an operator too. */
export function operatorProcesses(): number[] {
  const { cgroup } = requireState(inject('sandbox'));
  return processesOf(cgroup).filter((pid) => argumentsOf(pid).includes('k8sk8s/dist/cli.js operator run'));
}

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** What the operator tells Prometheus. */
export async function operatorMetrics(): Promise<string> {
  const pod = succeeded(await operatorPods('get', 'pods', '-o', 'jsonpath={.items[0].metadata.name}')).stdout;
  const path = `/api/v1/namespaces/${operatorNamespace}/pods/${pod}:8080/proxy/metrics`;
  return succeeded(await asInfraAdmin('get', '--raw', path)).stdout;
}

/** A namespace whose delegated administrator has a plane by its object, and may choose some fields besides. */
export class Team {
  readonly home: Namespace;

  private constructor(home: Namespace) {
    this.home = home;
  }

  static async open(name: string, fields: string[] = []): Promise<Team> {
    const home = await Namespace.open(name);
    const user = `--user=${name}-admin`;
    const inside = (...args: string[]) => asInfraAdmin('-n', name, ...args);
    // An earlier run in this sandbox may have left it.
    await inside('delete', 'serviceaccounts,roles,rolebindings', 'k8sk8s-plane', '--ignore-not-found');
    await inside('create', 'rolebinding', 'tenant', '--clusterrole=k8sk8s-tenant', user);
    const rules = [
      {
        apiGroups: ['k8sk8s.io'],
        resources: ['hostedcontrolplanes/fields'],
        resourceNames: ['host', ...fields],
        verbs: ['set'],
      },
      { apiGroups: ['k8sk8s.io'], resources: ['hostedcontrolplanes/scale'], verbs: ['get', 'patch', 'update'] },
    ];
    writeFileSync(
      path.join(home.cwd, 'fields.yaml'),
      dump({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'fields' }, rules }),
    );
    succeeded(await inside('apply', '-f', path.join(home.cwd, 'fields.yaml')));
    await inside('create', 'rolebinding', 'fields', '--role=fields', user);
    return new Team(home);
  }

  async apply(spec: object): Promise<void> {
    const object = { ...hostedControlPlane, metadata: { name: 'k8sk8s' }, spec };
    writeFileSync(path.join(this.home.cwd, 'plane.yaml'), dump(object));
    succeeded(await this.home.infra('apply', '-f', 'plane.yaml'));
  }

  async patch(spec: object): Promise<void> {
    succeeded(await this.home.infra('patch', 'hcp', 'k8sk8s', '--type=merge', '-p', JSON.stringify({ spec })));
  }

  async object(): Promise<HostedControlPlane> {
    return JSON.parse(succeeded(await this.home.infra('get', 'hcp', 'k8sk8s', '-o', 'json')).stdout);
  }

  async condition(type: Condition['type']): Promise<Condition | undefined> {
    return (await this.object()).status?.conditions?.find((each) => each.type === type);
  }

  /** Waits until a condition is as it is wanted, of the spec as it is now; fails with all that the object says. */
  until(seconds: number, type: Condition['type'], wanted: Partial<Condition>): Promise<Condition> {
    return eventually(seconds, async () => {
      const { metadata, status } = await this.object();
      const found = status?.conditions?.find((each) => each.type === type);
      expect(found, JSON.stringify(status, null, 2)).toMatchObject({
        ...wanted,
        observedGeneration: metadata.generation,
      });
      return found!;
    });
  }

  /** Waits until the plane is as its object wants it. */
  async brought(seconds: number): Promise<void> {
    await this.until(seconds, 'Progressing', { status: 'False', reason: 'UpToDate' });
    const { metadata, status } = await this.object();
    expect(status?.observedGeneration).toBe(metadata.generation);
  }

  /** Agrees to what a condition asks. @returns the value of the annotation */
  async consent({ message }: Condition): Promise<string> {
    const [, value] = /k8sk8s\.io\/consent: "([\d.]+)"/.exec(message)!;
    succeeded(await this.home.infra('annotate', '--overwrite', 'hcp/k8sk8s', `k8sk8s.io/consent=${value}`));
    return value!;
  }

  /** Writes the kubeconfig that the object's owner may read. */
  async login(): Promise<void> {
    const args = ['get', 'secret', 'admin-kubeconfig', '-o', 'jsonpath={.data.kubeconfig}'];
    const { stdout } = succeeded(await this.home.infra(...args));
    writeFileSync(path.join(this.home.cwd, 'kubeconfig'), Buffer.from(stdout, 'base64'));
  }

  /** kubectl on the hosted cluster. */
  async ask(...args: string[]): Promise<string> {
    return succeeded(await this.home.hosted(['--kubeconfig=kubeconfig', ...args])).stdout.trim();
  }

  /** Names of everything of the plane in the namespace. */
  async left(): Promise<string> {
    const kinds =
      'pods,statefulsets,deployments,replicasets,services,secrets,configmaps,ingresses,networkpolicies,poddisruptionbudgets,persistentvolumeclaims,jobs,leases';
    const { stdout } = succeeded(await asInfraAdmin('-n', this.home.name, 'get', kinds, '-o', 'name'));
    return stdout
      .split('\n')
      .filter((name) => name !== '' && name !== 'configmap/kube-root-ca.crt')
      .join('\n');
  }

  /** Waits until nothing is left. */
  async gone(seconds: number): Promise<void> {
    await eventually(seconds, async () => expect(await this.left()).toBe(''));
  }

  pods(...args: string[]) {
    return this.home.infra('get', 'pods', '-l', 'app.kubernetes.io/part-of=k8sk8s', ...args);
  }
}
