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
    /admission webhook/,
    [
      'an admission webhook of the infra cluster refuses it',
      "ask the infra cluster's administrator about that webhook",
    ],
  ],
];
