import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import entrypoint from './entrypoint.sh';

/** Functions of the script, without what it does to the machine. */
const functions = [...entrypoint.matchAll(/^(?:reserved_cpu|kubelet_settings)\(\) \{$[\s\S]*?^\}$/gm)].join('\n');

/** The kubelet's settings as a worker of that version writes them. @param archives its image has some */
function settingsOf(version: string, archives: boolean) {
  const script = `set -eu
kubelet() { echo "Kubernetes v${version}"; }
${functions.replaceAll('/images', archives ? tmpdir() : '/not-there')}
kubelet_settings`;
  return load(execFileSync('sh', ['-c', script], { encoding: 'utf8' })) as Record<string, unknown>;
}

test.each([
  ['1.37.2', true, 'NeverVerify'],
  ['1.35.4', true, 'NeverVerify'],
  // https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/apis/config/validation/validation.go: not without a feature gate.
  ['1.34.4', true, undefined],
  ['1.31.14', true, undefined],
  ['1.37.2', false, undefined],
])('a kubelet %s gets no field that it does not take; archives in the image: %s', (version, archives, policy) => {
  const settings = settingsOf(version, archives);
  expect(settings.imagePullCredentialsVerificationPolicy).toBe(policy);
  expect(settings).toMatchObject({ kind: 'KubeletConfiguration', failSwapOn: false });
});
