import type { Component } from '../config/components.ts';
import type { ClusterSpec } from '../config/schema.ts';

/** What a profile gives one component: flags, the Go runtime's settings, and room that follows what it was measured to need. */
interface ComponentProfile {
  args: string[];
  env: Record<string, string>;
  requests: { cpu: string; memory: string };
  limits: { cpu: string; memory: string };
}

/**
 * The figures behind the requests, and what `lite` gives up, stand in docs/performance.md. Requests are what an idle plane
 * was measured to use and a little more; limits leave room for a few thousand objects.
 */
const profiles: Record<ClusterSpec['profile'], Record<Component, ComponentProfile>> = {
  default: {
    etcd: { args: [], env: {}, requests: { cpu: '25m', memory: '64Mi' }, limits: { cpu: '1', memory: '512Mi' } },
    // Some 30 MiB less at rest than with Go's own 100, and deploys as quickly.
    'kube-apiserver': {
      args: [],
      env: { GOGC: '65' },
      requests: { cpu: '50m', memory: '288Mi' },
      limits: { cpu: '2', memory: '1Gi' },
    },
    // Small heaps: collecting their garbage twice as often costs less than a millicore. The controllers' tokens come at this
    // rate before any of them starts: 20 a second by default take 4 s, which leaves other planes' processes more time.
    'kube-controller-manager': {
      args: ['--kube-api-qps=100', '--kube-api-burst=200'],
      env: { GOGC: '50' },
      requests: { cpu: '15m', memory: '64Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
    'kube-scheduler': {
      args: [],
      env: { GOGC: '50' },
      requests: { cpu: '5m', memory: '32Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
  },
  lite: {
    etcd: {
      args: [],
      env: { GOGC: '20', GOMAXPROCS: '1' },
      requests: { cpu: '15m', memory: '48Mi' },
      limits: { cpu: '1', memory: '512Mi' },
    },
    'kube-apiserver': {
      // Reads and watches go to etcd, one by one.
      args: ['--watch-cache=false'],
      // One core less would take half a second more of its start.
      env: { GOGC: '10', GOMAXPROCS: '2' },
      requests: { cpu: '20m', memory: '224Mi' },
      limits: { cpu: '2', memory: '1Gi' },
    },
    'kube-controller-manager': {
      args: [],
      env: { GOGC: '10', GOMAXPROCS: '1' },
      requests: { cpu: '15m', memory: '48Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
    'kube-scheduler': {
      args: [],
      env: { GOGC: '10', GOMAXPROCS: '1' },
      requests: { cpu: '5m', memory: '32Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
  },
};

/** Environment variables of etcd that its other members need not share, and that no running one is replaced for. */
export const paceVariables = ['ETCD_HEARTBEAT_INTERVAL', 'ETCD_ELECTION_TIMEOUT'];

/**
 * How often etcd's members hear of their leader, and after how long without it they vote, in milliseconds. A member that is alone
 * elects itself in the same way when it starts, after a part of the second time that is left to chance: of 500 half as much as of
 * upstream's 1000. The second has to be five times the first at least, and beating every 50 would cost a millicore more.
 */
function pace({ profile, etcdMembers }: Pick<ClusterSpec, 'profile' | 'etcdMembers'>): Record<string, string> {
  const times = etcdMembers === 1 ? [100, 500] : profile === 'lite' ? [300, 1500] : undefined;
  return Object.fromEntries((times ?? []).map((milliseconds, index) => [paceVariables[index]!, String(milliseconds)]));
}

export function profileOf(spec: Pick<ClusterSpec, 'profile' | 'etcdMembers'>, component: Component): ComponentProfile {
  const profile = profiles[spec.profile][component];
  return component === 'etcd' ? { ...profile, env: { ...profile.env, ...pace(spec) } } : profile;
}
