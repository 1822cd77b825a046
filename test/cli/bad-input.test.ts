import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Anchor } from '../../src/base/anchors.ts';
import { refused } from '../refused.ts';

// What a tired person types at night, against the built command line. No cluster is needed: all of this has to be noticed
// before one is asked, or is about the way to one.

const cli = path.resolve('dist/cli.js');
let home: string;

beforeAll(() => {
  home = mkdtempSync(path.join(tmpdir(), 'k8sk8s-cli-'));
  const file = (name: string, text: string) => writeFileSync(path.join(home, name), text);
  const kubeconfig = (server: string, user = 'u', users = 'users: [{name: u, user: {token: x}}]') =>
    `apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: "${server}", insecure-skip-tls-verify: true}}]\n${users}\ncontexts: [{name: x, context: {cluster: c, user: ${user}, namespace: team}}]\ncurrent-context: x\n`;
  file('dead', kubeconfig('https://127.0.0.1:1'));
  file('unresolvable', kubeconfig('https://nowhere.invalid:6443'));
  file('not-a-url', kubeconfig('127.0.0.1:6443 or so'));
  file('no-user', kubeconfig('https://127.0.0.1:1', 'ghost'));
  file('no-current', kubeconfig('https://127.0.0.1:1').replace('current-context: x\n', ''));
  file(
    'plugin-missing',
    kubeconfig(
      'https://127.0.0.1:1',
      'u',
      'users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}}}]',
    ),
  );
  file(
    'plugin-fails',
    kubeconfig(
      'https://127.0.0.1:1',
      'u',
      'users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: "false", interactiveMode: Never}}}]',
    ),
  );
  file('empty', '');
  file('prose', 'this is not a kubeconfig\n');
  file('broken', 'clusters: [\n');
  mkdirSync(path.join(home, 'folder'));
  file('good.yaml', 'host: k.example.com\nnamespace: team\n');
  file('broken.yaml', 'host: k.example.com\nport: [1\nx: y\n');
  file('unknown.yaml', 'host: k.example.com\nserviceCIDR: 10.3.0.0/16\n');
  file('types.yaml', 'host: 3\nport: many\nsans: one\n');
  file('twice.yaml', 'host: a.example.com\nhost: b.example.com\n');
  file('list.yaml', '- host\n');
  file('audit-wrong.yaml', 'kind: Pod\n');
  const group = 'apiVersion: apiserver.config.k8s.io/v1';
  file('anonymous.yaml', `${group}\nkind: AuthenticationConfiguration\njwt: []\nanonymous: {enabled: true}\n`);
  file('no-jwt.yaml', `${group}\nkind: AuthenticationConfiguration\n`);
  file('allow-all.yaml', `${group}\nkind: AuthorizationConfiguration\nauthorizers: [{type: AlwaysAllow, name: all}]\n`);
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

function run(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env.PATH, HOME: home, KUBECONFIG: path.join(home, 'dead') };
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { env, cwd: home, timeout: 100_000 }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
    );
  });
}

const deploy = (...more: string[]) => ['deploy', '-n', 'team', ...more];
const asked = (...words: string[]) => ['logs', 'query', '-n', 'team', ...words];
const host = (name: string) => deploy('-h', name);
const option = (...more: string[]) => deploy('-h', 'k.example.com', ...more);

const schedule = (...more: string[]) => ['backup', 'schedule', '-n', 'team', ...more];

/** The anchor that it is explained under; undefined for what the parser of the command line says itself. */
type Case = [what: string, args: string[], anchor: Anchor | undefined, names: string[]];

/** Values that cannot be used, and what is to be told of them: the option, the value, what would do. */
const values = (cases: [what: string, args: string[], names: string[]][]): Case[] =>
  cases.map(([what, args, names]) => [what, args, 'bad-values', names]);

/** What the parser refuses, and what is to be told of it. */
const usage = (cases: [what: string, args: string[], names: string[]][]): Case[] =>
  cases.map(([what, args, names]) => [what, args, undefined, names]);

const cases: Record<string, Case[]> = {
  'the operator': values([
    ['without a worker', ['operator', 'run', '--workers', '0'], ['--workers "0"']],
    ['on a port by name', ['operator', 'run', '--port', 'http'], ['--port "http"', '65535']],
  ]),
  hosts: values([
    ['a URL', host('https://k.example.com/x'), ['--host "https://k.example.com/x"', ' k.example.com\n']],
    ['a space', host('k example.com'), ['--host "k example.com"']],
    ['nothing', host(''), ['--host ""']],
    ['a wildcard', host('*.example.com'), ['--host "*.example.com"']],
    ['a trailing dot', host('k.example.com.'), ['--host "k.example.com."', ' k.example.com\n']],
    ['a port', host('k.example.com:6443'), ['--host "k.example.com:6443"', '-h k.example.com -p 6443']],
    ['a long label', host(`${'a'.repeat(64)}.example.com`), ['--host', '64', '63']],
    ['a long name', host(`${'a.'.repeat(130)}com`), ['--host', '263', '253']],
    ['an underscore', host('my_host.example.com'), ['--host "my_host.example.com"', '"my_host"']],
    ['upper case', host('K.example.com'), ['--host "K.example.com"', '"K"']],
    ['an IPv6 address', host('fd00::1'), ['--host "fd00::1"', 'IPv6']],
    ['half an address', host('10.0.0'), ['--host "10.0.0"']],
    ['an address with an ingress', host('192.0.2.7'), ['--host 192.0.2.7', '--expose nodeport']],
    [
      'an address inside the pod network',
      deploy('-h', '10.2.3.4', '--expose', 'nodeport'),
      ['--host 10.2.3.4', '--pod-cidr 10.2.0.0/16'],
    ],
  ]),
  ports: values([
    ['zero', option('-p', '0'), ['--port "0"', '1 to 65535']],
    ['too high', option('-p', '70000'), ['--port "70000"', '1 to 65535']],
    ['a word', option('-p', 'https'), ['--port "https"']],
    ['a privileged node port', option('--node-port', '443'), ['--node-port "443"', '1024 to 65535']],
    [
      'two different node ports',
      option('--expose', 'nodeport', '-p', '30001', '--node-port', '30002'),
      ['--port 30001', '--node-port 30002'],
    ],
  ]),
  namespaces: [
    ['upper case', ['deploy', '-h', 'k.example.com', '-n', 'Team'], 'namespace', ['--namespace "Team"']],
    ['too long', ['status', '-n', 'a'.repeat(64)], 'namespace', ['--namespace', '63']],
    ["the cluster's own", ['deploy', '-h', 'k.example.com', '-n', 'kube-system'], 'namespace', ['"kube-system"']],
  ],
  versions: values([
    ['a word', option('--kubernetes-version', 'latest'), ['--kubernetes-version "latest"', '1.37']],
    ['an unknown minor', option('--kubernetes-version', '1.20'), ['--kubernetes-version "1.20"', '1.37']],
    ['an untested patch', option('--kubernetes-version', '1.37.0'), ['1.37.0', '--allow-untested-version']],
    ['an alpha', option('--kubernetes-version', '1.38.0-alpha.1'), ['1.38.0-alpha.1', '--allow-untested-version']],
  ]),
  networks: values([
    ['no network', option('--service-cidr', '10.3.0.0'), ['--service-cidr "10.3.0.0"', 'CIDR']],
    ['host bits', option('--service-cidr', '10.3.0.1/16'), ['--service-cidr "10.3.0.1/16"', ' 10.3.0.0/16\n']],
    ['too small services', option('--service-cidr', '10.3.0.0/29'), ['--service-cidr "10.3.0.0/29"', '/28']],
    ['too small pods', option('--pod-cidr', '10.2.0.0/25'), ['--pod-cidr "10.2.0.0/25"', '/24']],
    ['too large', option('--pod-cidr', '10.0.0.0/4'), ['--pod-cidr "10.0.0.0/4"']],
    ['IPv6', option('--pod-cidr', 'fd00::/48'), ['--pod-cidr "fd00::/48"', 'IPv6']],
    ['an overlap', option('--pod-cidr', '10.3.128.0/17'), ['--service-cidr 10.3.0.0/16', '--pod-cidr 10.3.128.0/17']],
    ['a bad DNS domain', option('--dns-domain', 'cluster local'), ['--dns-domain "cluster local"']],
    ['a bad loopback address', option('--loopback-address', 'localhost'), ['--loopback-address "localhost"', 'IPv4']],
    ['a bad worker endpoint', option('--worker-endpoint', '10.0.0.1:6443'), ['--worker-endpoint', 'https://']],
  ]),
  'scheduled backups': [
    ...values([
      ['a place that is none', schedule('--to', 'ftp://backups'), ['--to "ftp://backups"', 's3://BUCKET']],
      ['no bucket', schedule('--to', 's3://'), ['--to "s3://"']],
      ['a bucket without keys', schedule('--to', 's3://backups'), ['--s3-credentials-secret', 'AWS_ACCESS_KEY_ID']],
      ['a bucket for a volume', schedule('--s3-region', 'eu-1'), ['--s3-region', '--to pvc']],
      ['a size for a bucket', schedule('--to', 's3://backups', '--size', '1Gi'), ['--size', '--to s3://backups']],
      [
        'a server that is none',
        schedule('--to', 's3://backups', '--s3-credentials-secret', 's3', '--s3-endpoint', 's3.example.com'),
        ['--s3-endpoint "s3.example.com"', 'https://'],
      ],
      [
        'an authority that is none',
        schedule('--to', 's3://backups', '--s3-credentials-secret', 's3', '--s3-ca', 'prose'),
        ['prose (--s3-ca)', 'BEGIN CERTIFICATE'],
      ],
    ]),
    ['nobody to encrypt for', schedule(), 'backup-key', ['--recipient age1']],
    ['a recipient that is none', schedule('--recipient', 'age1x'), 'backup-key', ['--recipient', '"age1x"']],
    [
      'a secret key for a recipient',
      schedule('--recipient', 'AGE-SECRET-KEY-1X'),
      'backup-key',
      ['--recipient', 'age1…'],
    ],
    [
      'a bucket to read without keys',
      ['backup', 'list', '--from', 's3://backups'],
      'bucket-keys',
      ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
    ],
  ],
  choices: [
    ...values([
      ['an unknown way to expose', option('--expose', 'magic'), ['--expose "magic"', 'ingress', 'nodeport']],
      ['an unknown in-cluster way', option('--in-cluster', 'tunnel'), ['--in-cluster "tunnel"', 'loadbalancer']],
      ['an unknown network driver', option('--network', 'weave'), ['--network "weave"', 'flannel', 'none']],
      ['an unknown key type', option('--key-type', 'dsa'), ['--key-type "dsa"', 'ec', 'rsa']],
      ['a feature gate that is neither', option('--feature-gates', 'SomeGate=maybe'), ['--feature-gates SomeGate']],
      ['a bad toleration', option('--tolerations', 'a=b:Never'), ['--tolerations "a=b:Never"', 'kubectl taint']],
      ['unknown resources', option('--resources', 'huge'), ['--resources "huge"', 'small', 'limits', 'none']],
      ['resources of a stranger', option('--resources', 'nginx=cpu=1'), ['--resources "nginx=cpu=1"', 'etcd']],
      ['a bad image', option('--etcd-image', 'https://registry.example.com/etcd'), ['--etcd-image "https://reg']],
      ['a bad pull secret', option('--image-pull-secret', 'My Secret'), ['--image-pull-secret "My Secret"']],
      ['an argument without a value', option('--api-server-arg', 'v'), ['--api-server-arg "v"', 'NAME=VALUE']],
      ['a bad san', option('--san', 'https://x'), ['--san "https://x"']],
      [
        'who is anonymous',
        option('--authentication-config', 'anonymous.yaml'),
        ['--authentication-config', 'anonymous'],
      ],
      ['issuers that are none', option('--authentication-config', 'no-jwt.yaml'), ['--authentication-config', 'jwt']],
      ['an issuer for every audience', option('--oidc-issuer', 'https://login.example.com'), ['--oidc-client-id']],
      [
        'an authorizer that allows everything',
        option('--authorization-config', 'allow-all.yaml'),
        ['--authorization-config', 'AlwaysAllow', 'RBAC'],
      ],
      ['an audit policy that is none', option('--audit-policy', 'audit-wrong.yaml'), ['--audit-policy', '"Pod"']],
      ['a bad time', option('--timeout', 'soon'), ['--timeout "soon"', '5m']],
      ['resetting what is no option', option('--reset', 'shceduler-arg'), ['shceduler-arg', '"scheduler-arg"']],
    ]),
    ...usage([
      ['a feature gate without a value', option('--feature-gates', 'SomeGate'), ['--feature-gates', 'KEY=VALUE']],
      ['a bad node selector', option('--node-selector', 'pool'), ['--node-selector', "'pool'", 'KEY=VALUE']],
      ['a bad output', option('--output', 'xml'), ['--output', "'xml'", 'text', 'json']],
    ]),
    [
      'an audit policy that is not there',
      option('--audit-policy', 'no-such.yaml'),
      'file-not-readable',
      ['no-such.yaml (--audit-policy)'],
    ],
    ['no host for a new plane', deploy(), 'infra-unreachable', ['https://127.0.0.1:1']],
  ],
  'words of the command line': [
    ...usage([
      ['no command', [], []],
      ['an unknown command', ['deplyo'], ["'deplyo'", 'deploy?', 'k8sk8s --help']],
      ["an unknown command of a command's", ['user', 'creat', 'jane'], ["'creat'", 'create?', 'k8sk8s user --help']],
      ['an argument that is missing', ['token', 'revoke'], ["'ID'", 'k8sk8s token revoke --help']],
      ['an option that is missing', ['upgrade', '-n', 'team'], ['--to <VERSION>', 'k8sk8s upgrade --help']],
      ['an output that kubeconfig has not', ['kubeconfig', '--output', 'json'], ['--output', "'json'"]],
      ['an unknown option', option('--serivce-cidr', 'x'), ["'--serivce-cidr'", '--service-cidr?']],
      ['an option without its value', ['deploy', '-h'], ['--host', 'k8sk8s deploy --help']],
      ['a sandbox network that is none', ['sandbox', 'up', '--network', 'weave'], ["'weave'", 'bridge', 'cilium']],
    ]),
    ...values([
      ['a version to go to that is none', ['upgrade', '-n', 'team', '--to', '9'], ['--to "9"', '1.37']],
      ['an unknown component', ['logs', '-n', 'team', 'schedluer'], ['"schedluer"', '"scheduler"']],
      ['a bad number of lines', ['logs', '-n', 'team', '--tail', 'x'], ['--tail "x"']],
      ['a question that there is not', asked('who stole default/web'), ['"who stole default/web"', '--logsql']],
      ['a question that lacks what it is about', asked('who', 'deleted'), ['"who deleted"', 'NAMESPACE/NAME']],
      ['a question with a word too many', asked('errors', 'today'), ['"errors"', 'today']],
      ['a question about a time that is none', asked('what is slow', 'soon'), ['"soon"', '500']],
      ['two questions at once', asked('errors', '--logsql', '*'), ['--logsql']],
      ['a question for no lines', asked('errors', '--limit', '0'), ['--limit "0"']],
      ['a question since a time that is none', asked('errors', '--since', 'yesterday'), ['--since "yesterday"']],
      ['a token that is none', ['token', 'revoke', 'X', '-n', 'team'], ['"X"', 'k8sk8s token list']],
      ['sandbox env without a namespace', ['sandbox', 'env'], ['--namespace', '--admin']],
      ['a sandbox name that is none', ['sandbox', 'up', '--name', 'A b'], ['--name "A b"']],
      ['a sandbox without machines', ['sandbox', 'up', '--infra-nodes', '0'], ['--infra-nodes "0"', '1']],
    ]),
  ],
  'cluster.yaml': [
    ['that is not there', deploy('-f', 'absent.yaml'), 'file-not-readable', ['absent.yaml (--file)']],
    ['broken', deploy('-f', 'broken.yaml'), 'bad-file', ['broken.yaml', 'line 3']],
    ['with an unknown key', deploy('-f', 'unknown.yaml'), 'bad-file', ['"serviceCIDR"', '"serviceCidr"']],
    [
      'of wrong types',
      deploy('-f', 'types.yaml'),
      'bad-values',
      ['--host "3"', '--port "many"', '--san', 'types.yaml'],
    ],
    ['with a key twice', deploy('-f', 'twice.yaml'), 'bad-file', ['twice.yaml', 'line 2']],
    ['that is a list', deploy('-f', 'list.yaml'), 'bad-file', ['list.yaml']],
    ['that is a folder', deploy('-f', 'folder'), 'file-not-readable', ['folder (--file)']],
  ],
  kubeconfigs: [
    ['a seal file that is not there', option('--seal-file', 'absent'), 'file-not-readable', ['absent (--seal-file)']],
    ['absent', option('--kubeconfig', 'absent'), 'infra-kubeconfig', ['absent (--kubeconfig)', 'KUBECONFIG']],
    ['a folder', option('--kubeconfig', 'folder'), 'infra-kubeconfig', ['folder (--kubeconfig)']],
    ['empty', option('--kubeconfig', 'empty'), 'infra-kubeconfig', ['empty']],
    ['prose', option('--kubeconfig', 'prose'), 'infra-kubeconfig', ['prose']],
    ['broken YAML', option('--kubeconfig', 'broken'), 'infra-kubeconfig', ['broken']],
    [
      'without a current context',
      option('--kubeconfig', 'no-current'),
      'infra-kubeconfig',
      ['no-current', 'current-context', ' x\n', '--context NAME'],
    ],
    ['an unknown context', option('--context', 'prod'), 'infra-kubeconfig', ['"prod"', ' x\n', '--context NAME']],
    ['an unknown user', option('--kubeconfig', 'no-user'), 'infra-kubeconfig', ['no-user', '"ghost"']],
    [
      'a server that is no URL',
      option('--kubeconfig', 'not-a-url'),
      'infra-kubeconfig',
      ['not-a-url', '127.0.0.1:6443 or so'],
    ],
    ['a plugin that is missing', option('--kubeconfig', 'plugin-missing'), 'infra-credentials', ['"no-such-plugin"']],
    ['a plugin that fails', option('--kubeconfig', 'plugin-fails'), 'infra-credentials', ['"false"']],
    ['nothing listens', option(), 'infra-unreachable', ['https://127.0.0.1:1']],
    [
      'the server does not resolve',
      option('--kubeconfig', 'unresolvable'),
      'infra-unreachable',
      ['https://nowhere.invalid:6443', 'DNS'],
    ],
  ],
};

describe.each(Object.entries(cases))('%s', (_, group) => {
  test.concurrent.each(group)('%s', async (_name, args, anchor, names) => {
    const outcome = await run(args);
    const { code, stdout, stderr } = outcome;
    expect(code, stderr).toBe(2);
    expect(stdout).toBe('');
    if (anchor) return expect(outcome).toEqual(refused(anchor, ...names));
    for (const name of names) expect(stderr).toContain(name);
    expect(stderr).not.toMatch(/\n\s+at .*:\d+:\d+|this is a bug|\bundefined\b|\[object/);
    // Told once, with a way on.
    if (names.length > 0) {
      expect(stderr.match(/^ERROR /gm)).toHaveLength(1);
      expect(stderr).toMatch(/^ {2}do: {2}\S/m);
    }
  });
});

test('help is for everybody and costs nothing', async () => {
  for (const args of [
    ['--help'],
    ['deploy', '--help'],
    ['sandbox', 'up', '--help'],
    ['token', '--help'],
    ['help'],
    ['help', 'etcd', 'repair'],
    ['--version'],
  ])
    expect((await run(args)).code, args.join(' ')).toBe(0);
});

test('help tells what an option is when nobody says anything', async () => {
  const { stdout } = await run(['deploy', '--help']);
  expect(stdout).toMatch(/--service-cidr <CIDR\[,CIDR\]> .*\(default: 10\.3\.0\.0\/16\)/);
  expect(stdout).toMatch(/--replicas <N> .*\(default: 1\)/);
  expect((await run(['help', 'etcd', 'repair'])).stdout).toContain('Usage: k8sk8s etcd repair');
});

test('the policies for the administrator of an infra cluster are printed without any cluster, and are YAML', async () => {
  const { code, stdout } = await run(['preflight', '--export-policy']);
  expect(code).toBe(0);
  const kinds = (loadAll(stdout) as { kind: string }[]).map(({ kind }) => kind);
  expect(new Set(kinds)).toEqual(new Set(['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding']));
});
