import { UserError } from '../base/errors.ts';
import { again, type Words, words } from '../base/words.ts';
import { field } from '../config/flags.ts';

/**
 * A pod that an admission step of the infra cluster refuses: quota, pod security, a webhook.
 *
 * @param message the API server's
 * @param several `component` names more than one
 */
export function refusedPod(component: string, message: string, several = false): UserError {
  const [cause, fix] = causes.find(([pattern]) => pattern.test(message))?.[1] ?? [
    'the infra cluster refuses it',
    words`change what is named there and ${again}`,
  ];
  return new UserError({
    what: `the ${several ? 'pods' : 'pod'} of ${component} cannot be created: ${cause}`,
    why: message,
    fix,
    anchor: 'pod-refused',
  });
}

const causes: [pattern: RegExp, words: [cause: string, fix: Words]][] = [
  [
    /exceeded quota|must specify (limits|requests|cpu|memory)/,
    [
      "the namespace's quota does not allow it",
      words`free or raise the quota (kubectl describe quota), or ask for less with ${field('resources')}`,
    ],
  ],
  [
    /violates PodSecurity/,
    [
      'the pod security level of the namespace does not allow it',
      'this is a bug of k8sk8s if the level is "restricted" or lower; otherwise ask the administrator which policy it is',
    ],
  ],
  [
    /serviceaccount "[^"]*" not found/,
    [
      'it is to run with a ServiceAccount that the namespace does not have',
      words`make the ServiceAccount, or name another one with ${field('serviceAccountName')}`,
    ],
  ],
  [
    /no PriorityClass with name/i,
    [
      'there is no PriorityClass of that name',
      words`name another one with ${field('priorityClassName')}; kubectl get priorityclasses shows them`,
    ],
  ],
  [
    /RuntimeClass "[^"]*" not found/i,
    [
      'there is no RuntimeClass of that name',
      words`name another one with ${field('runtimeClassName')}; kubectl get runtimeclasses shows them`,
    ],
  ],
  [
    /unable to validate against any security context constraint/,
    [
      'no security context constraint of OpenShift admits it',
      words`leave user and group to the platform: ${field('runAsUser', 'platform')}; or ask for a constraint for ${field('serviceAccountName')}`,
    ],
  ],
  [
    /(?:admission webhook|ValidatingAdmissionPolicy)[\s\S]*\b(?:label|annotation)s?\b/i,
    [
      'a policy of the infra cluster refuses it',
      words`if it wants a label or an annotation, give it with ${field('podLabels')} or ${field('podAnnotations')}; otherwise ask the administrator about that policy`,
    ],
  ],
  [
    /admission webhook|ValidatingAdmissionPolicy/,
    ['a policy or webhook of the infra cluster refuses it', "ask the infra cluster's administrator about it"],
  ],
];
