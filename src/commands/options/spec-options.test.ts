import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addSpecOptions, specFromOptions } from './spec-options.ts';

function given(...args: string[]) {
  const command = new Command().exitOverride();
  addSpecOptions(command);
  command.parse(args, { from: 'user' });
  return specFromOptions(command);
}

test('P5: an annotation with commas is one annotation', () => {
  const tags = 'alb.ingress.kubernetes.io/tags=Environment=dev,Team=test';
  expect(given('--ingress-annotation', tags, '--ingress-annotation', 'a.example/b=c').ingressAnnotations).toEqual({
    'alb.ingress.kubernetes.io/tags': 'Environment=dev,Team=test',
    'a.example/b': 'c',
  });
});

test('P5: an argument with commas is one argument', () => {
  const argument = 'enable-admission-plugins=NodeRestriction,PodNodeSelector';
  expect(given('--api-server-arg', argument).apiServerArgs).toEqual([argument]);
});

test('feature gates and labels of nodes may stand in one value, as in kubectl', () => {
  expect(given('--feature-gates', 'A=true,B=false').featureGates).toEqual({ A: 'true', B: 'false' });
  expect(given('--node-selector', 'disk=ssd,zone=a').nodeSelector).toEqual({ disk: 'ssd', zone: 'a' });
});
