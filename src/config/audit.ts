import { type Words, words } from '../base/words.ts';
import { field } from './flags.ts';
import type { ClusterSpec } from './schema.ts';

/* What the API server would say about an audit policy when it starts (https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/). */

const apiVersion = 'audit.k8s.io/v1';
const levels = ['None', 'Metadata', 'Request', 'RequestResponse'];
const stages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'];

/** What keeps an API server from starting with the policy, a sentence each. Pure. */
export function auditProblems({ auditPolicy: policy }: Pick<ClusterSpec, 'auditPolicy'>): Words[] {
  if (!policy) return [];
  const file = field('auditPolicy');
  const problems: Words[] = [];
  if (policy.apiVersion !== apiVersion)
    problems.push(
      words`${file} has to say apiVersion: ${apiVersion}${policy.apiVersion === undefined ? '' : `, not ${shown(policy.apiVersion)}`}`,
    );
  const { rules, omitStages } = policy;
  if (!Array.isArray(rules) || rules.length === 0)
    problems.push(words`${file} has no rules: give at least one, with a level`);
  else for (const [index, rule] of rules.entries()) problems.push(...ruleProblems(rule, `rules[${index}]`));
  return [...problems, ...stageProblems(omitStages, 'omitStages')];
}

function ruleProblems(rule: unknown, at: string): Words[] {
  const { level, omitStages } = (typeof rule === 'object' && rule !== null ? rule : {}) as Record<string, unknown>;
  const wrong = levels.includes(level as string)
    ? []
    : [words`${field('auditPolicy')}: ${at}.level is ${shown(level)}, and has to be one of ${levels.join(', ')}`];
  return [...wrong, ...stageProblems(omitStages, `${at}.omitStages`)];
}

function stageProblems(given: unknown, at: string): Words[] {
  if (given === undefined || given === null) return [];
  const wrong = Array.isArray(given) ? given.filter((stage) => !stages.includes(stage as string)) : [given];
  return wrong.map(
    (stage) => words`${field('auditPolicy')}: ${at} has ${shown(stage)}, and may have ${stages.join(', ')}`,
  );
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 60);
}
