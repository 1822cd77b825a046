import { expect, test } from 'vitest';
import { inTerminal } from '../ui/words.ts';
import { auditProblems } from './audit.ts';

const policy = (more: object) =>
  auditProblems({ auditPolicy: { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'None' }], ...more } })
    .map(inTerminal)
    .join('\n');

test('an audit policy that an API server takes', () => {
  expect(auditProblems({})).toEqual([]);
  expect(policy({})).toBe('');
  const rule = { level: 'RequestResponse', omitStages: ['RequestReceived'], resources: [{ group: '' }] };
  expect(policy({ omitStages: ['Panic'], rules: [rule, { level: 'Metadata' }] })).toBe('');
});

test.each<[string, object, string]>([
  ['L2: an apiVersion that is gone', { apiVersion: 'audit.k8s.io/v1beta1' }, 'audit.k8s.io/v1beta1'],
  ['L2: no apiVersion', { apiVersion: undefined }, 'audit.k8s.io/v1'],
  ['L2: a level in small letters', { rules: [{ level: 'metadata' }] }, '"metadata"'],
  ['L2: no rules', { rules: [] }, 'no rules'],
  ['L2: rules that are left out', { rules: undefined }, 'no rules'],
  ['L2: a rule without a level', { rules: [{ level: 'None' }, {}] }, 'rules[1].level'],
  ['L2: a rule that is none', { rules: ['Metadata'] }, 'rules[0].level'],
  ['L2: a stage that does not exist', { omitStages: ['requestReceived'] }, '"requestReceived"'],
  ['L2: stages of a rule', { rules: [{ level: 'None', omitStages: 'Panic' }] }, 'rules[0].omitStages'],
])('%s is refused before anything is asked of a cluster', (_, more, named) => {
  expect(policy(more)).toContain('--audit-policy');
  expect(policy(more)).toContain(named);
});
