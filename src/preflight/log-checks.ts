import { command, option, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import { ApiError, isQuotaExceeded } from '../kube/errors.ts';
import { logAccount, logStore } from '../plane/beside/log-store/log-store.ts';
import { accountState } from './account.ts';
import { type DeployCheck, type Outcome, ok, outcomeOf } from './check.ts';
import { renamed, trialId } from './trials.ts';

/** Logs are read by an account of the namespace, which those who have the rights of `edit` alone cannot give its rights. */
const account: DeployCheck = {
  name: 'log-account',
  claim: () => "An account may read the logs of the plane's pods",
  anchor: 'log-account',
  severity: 'fatal',
  dependsOn: ['namespace'],
  applies: ({ spec }) => spec.logs,
  async probe(context): Promise<Outcome> {
    const { cluster, spec } = context;
    const pod = renamed(logStore.trialPod(trialId, spec));
    const found = await accountState(cluster, logAccount.name, pod, logAccount.rights).catch((error: unknown) => {
      if (error instanceof ApiError && isQuotaExceeded(error)) return { state: 'untested' as const };
      return outcomeOf(error);
    });
    if (found.state === 'ok') return ok();
    if (found.state === 'failed' || found.state === 'unknown') return found;
    if (found.state === 'untested')
      return { state: 'unknown', why: `you may not look at ServiceAccount "${logAccount.name}"` };
    // A plane that has kept its logs is not to be without repair because somebody took the account away, or elsewhere has not made it yet.
    if (context.restores || (await context.record())?.spec.logs)
      return { state: 'unknown', why: `${found.why}: its logs are not kept now` };
    return {
      state: 'failed',
      what: `the plane in namespace "${cluster.namespace}" cannot keep its logs yet`,
      why: `${found.why}. The rights of "edit" read logs, but do not include Roles, by which the log store's account may read them`,
      fix: words`ask the administrator of the infra cluster to apply templates/rights/logs.yaml, which ${command('logs enable', cluster.namespace, option('rights'))} prints for kubectl apply -f -; or leave ${field('logs')} out`,
    };
  },
};

export const logChecks: DeployCheck[] = [account];
