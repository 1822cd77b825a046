import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

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
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

function run(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env.PATH, HOME: home, KUBECONFIG: path.join(home, 'dead') };
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { env, cwd: home, timeout: 25_000 }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
    );
  });
}

const deploy = (...more: string[]) => ['deploy', '-n', 'team', ...more];
const host = (name: string) => deploy('-h', name);
const option = (...more: string[]) => deploy('-h', 'k.example.com', ...more);

const schedule = (...more: string[]) => ['backup', 'schedule', '-n', 'team', ...more];

type Case = [what: string, args: string[], words: string[]];

const cases: Record<string, Case[]> = {
  hosts: [
    ['a URL', host('https://k.example.com/x'), ['--host', 'is a URL', 'k.example.com']],
    ['a space', host('k example.com'), ['contains a space']],
    ['nothing', host(''), ['is empty']],
    ['a wildcard', host('*.example.com'), ['wildcard', 'one name']],
    ['a trailing dot', host('k.example.com.'), ['ends with a dot', 'write k.example.com']],
    ['a port', host('k.example.com:6443'), ['names a port', '-p 6443']],
    ['a long label', host(`${'a'.repeat(64)}.example.com`), ['64 characters', 'at most 63']],
    ['a long name', host(`${'a.'.repeat(130)}com`), ['at most 253']],
    ['an underscore', host('my_host.example.com'), ['my_host', 'no host name may have']],
    ['upper case', host('K.example.com'), ['lower-case']],
    ['an IPv6 address', host('fd00::1'), ['IPv6']],
    ['half an address', host('10.0.0'), ['neither an IPv4 address nor']],
    ['an address with an ingress', host('192.0.2.7'), ['192.0.2.7', '--expose nodeport']],
    ['an address inside the pod network', deploy('-h', '10.2.3.4', '--expose', 'nodeport'), ['10.2.3.4', '--pod-cidr']],
  ],
  ports: [
    ['zero', option('-p', '0'), ['--port "0"', '1 to 65535']],
    ['too high', option('-p', '70000'), ['--port "70000"', '1 to 65535']],
    ['a word', option('-p', 'https'), ['--port "https"', 'number']],
    ['a privileged node port', option('--node-port', '443'), ['--node-port "443"', '1024 to 65535']],
    [
      'two different node ports',
      option('--expose', 'nodeport', '-p', '30001', '--node-port', '30002'),
      ['30001', '30002', 'same thing'],
    ],
  ],
  namespaces: [
    ['upper case', ['deploy', '-h', 'k.example.com', '-n', 'Team'], ['"Team"', 'lower-case']],
    ['too long', ['status', '-n', 'a'.repeat(64)], ['63']],
    ["the cluster's own", ['deploy', '-h', 'k.example.com', '-n', 'kube-system'], ['kube-system', 'of its own']],
  ],
  versions: [
    ['a word', option('--kubernetes-version', 'latest'), ['"latest"', 'known are 1.37']],
    ['an unknown minor', option('--kubernetes-version', '1.20'), ['"1.20"', 'known are']],
    ['an untested patch', option('--kubernetes-version', '1.37.0'), ['1.37.0', '--allow-untested-version']],
    ['an alpha', option('--kubernetes-version', '1.38.0-alpha.1'), ['1.38.0-alpha.1', '--allow-untested-version']],
  ],
  networks: [
    ['no network', option('--service-cidr', '10.3.0.0'), ['--service-cidr "10.3.0.0"', 'CIDR']],
    ['host bits', option('--service-cidr', '10.3.0.1/16'), ['write 10.3.0.0/16']],
    ['too small services', option('--service-cidr', '10.3.0.0/29'), ['too small', '/28']],
    ['too small pods', option('--pod-cidr', '10.2.0.0/25'), ['--pod-cidr', 'too small', '/24']],
    ['too large', option('--pod-cidr', '10.0.0.0/4'), ['--pod-cidr']],
    ['IPv6', option('--pod-cidr', 'fd00::/48'), ['IPv6', 'not supported yet']],
    ['an overlap', option('--pod-cidr', '10.3.128.0/17'), ['overlap', '--service-cidr', '--pod-cidr']],
    ['a bad DNS domain', option('--dns-domain', 'cluster local'), ['--dns-domain', 'space']],
    ['a bad loopback address', option('--loopback-address', 'localhost'), ['--loopback-address', 'IPv4']],
    ['a bad worker endpoint', option('--worker-endpoint', '10.0.0.1:6443'), ['--worker-endpoint', 'https://']],
  ],
  'scheduled backups': [
    ['a place that is none', schedule('--to', 'ftp://backups'), ['--to "ftp://backups"', 's3://BUCKET']],
    ['no bucket', schedule('--to', 's3://'), ['--to "s3://"', 'names no bucket']],
    ['a bucket without keys', schedule('--to', 's3://backups'), ['--s3-credentials-secret', 'AWS_ACCESS_KEY_ID']],
    ['a bucket for a volume', schedule('--s3-region', 'eu-1'), ['--s3-region has no use with --to pvc']],
    ['a size for a bucket', schedule('--to', 's3://backups', '--size', '1Gi'), ['--size has no use']],
    [
      'a server that is none',
      schedule('--to', 's3://backups', '--s3-credentials-secret', 's3', '--s3-endpoint', 's3.example.com'),
      ['--s3-endpoint "s3.example.com"', 'https://'],
    ],
    [
      'an authority that is none',
      schedule('--to', 's3://backups', '--s3-credentials-secret', 's3', '--s3-ca', 'prose'),
      ['--s3-ca', 'holds no certificate'],
    ],
    ['nobody to encrypt for', schedule(), ['--recipient age1']],
    ['a recipient that is none', schedule('--recipient', 'age1x'), ['--recipient: "age1x" is no age public key']],
    ['a secret key for a recipient', schedule('--recipient', 'AGE-SECRET-KEY-1X'), ['it is a secret key', 'age1…']],
    ['a bucket to read without keys', ['backup', 'list', '--from', 's3://backups'], ['AWS_ACCESS_KEY_ID']],
  ],
  choices: [
    ['an unknown way to expose', option('--expose', 'magic'), ['--expose "magic"', 'ingress or nodeport']],
    [
      'an unknown in-cluster way',
      option('--in-cluster', 'tunnel'),
      ['--in-cluster "tunnel"', 'node or loadbalancer or loopback'],
    ],
    ['an unknown network driver', option('--network', 'weave'), ['--network "weave"', 'flannel or none']],
    ['an unknown key type', option('--key-type', 'dsa'), ['--key-type "dsa"', 'ec or rsa']],
    ['a feature gate without a value', option('--feature-gates', 'SomeGate'), ['KEY=VALUE']],
    [
      'a feature gate that is neither',
      option('--feature-gates', 'SomeGate=maybe'),
      ['--feature-gates', 'true or false'],
    ],
    ['a bad toleration', option('--tolerations', 'a=b:Never'), ['--tolerations', 'kubectl taint']],
    ['a bad node selector', option('--node-selector', 'pool'), ['KEY=VALUE']],
    ['unknown resources', option('--resources', 'huge'), ['--resources', 'small, limits, none']],
    ['resources of a stranger', option('--resources', 'nginx=cpu=1'), ['--resources', 'kube-apiserver']],
    ['a bad image', option('--etcd-image', 'https://registry.example.com/etcd'), ['--etcd-image', 'image reference']],
    ['a bad pull secret', option('--image-pull-secret', 'My Secret'), ['--image-pull-secret', 'name of a Secret']],
    ['an argument without a value', option('--api-server-arg', 'v'), ['--api-server-arg', 'NAME=VALUE']],
    ['a bad san', option('--san', 'https://x'), ['--san', 'URL']],
    ['an audit policy that is none', option('--audit-policy', 'audit-wrong.yaml'), ['--audit-policy', 'Policy']],
    ['an audit policy that is not there', option('--audit-policy', 'no-such.yaml'), ['no-such.yaml', '--audit-policy']],
    ['a bad time', option('--timeout', 'soon'), ['--timeout "soon"', '5m']],
    ['a bad output', option('--output', 'xml'), ['xml', 'text, json']],
    ['resetting what is no option', option('--reset', 'shceduler-arg'), ['shceduler-arg', 'scheduler-arg']],
    ['no host for a new plane', deploy(), ['127.0.0.1:1']],
  ],
  'words of the command line': [
    ['no command', [], []],
    ['an unknown command', ['deplyo'], ["unknown command 'deplyo'", 'deploy', '--help']],
    [
      "an unknown command of a command's",
      ['user', 'creat', 'jane'],
      ["unknown command 'creat'", 'create', 'k8sk8s user --help'],
    ],
    ['an argument that is missing', ['token', 'revoke'], ["argument 'ID'", 'k8sk8s token revoke --help']],
    ['an option that is missing', ['upgrade', '-n', 'team'], ['--to <VERSION>', 'k8sk8s upgrade --help']],
    ['a version to go to that is none', ['upgrade', '-n', 'team', '--to', '9'], ['--to "9"', 'one of 1.37']],
    ['an output that kubeconfig has not', ['kubeconfig', '--output', 'json'], ["'json'", 'choices are -']],
    ['an unknown option', option('--serivce-cidr', 'x'), ["unknown option '--serivce-cidr'", '--service-cidr']],
    ['an option without its value', ['deploy', '-h'], ['-h', 'argument missing']],
    ['an unknown component', ['logs', '-n', 'team', 'schedluer'], ['schedluer', 'scheduler']],
    ['a bad number of lines', ['logs', '-n', 'team', '--tail', 'x'], ['--tail', 'number']],
    ['a token that is none', ['token', 'revoke', 'X', '-n', 'team'], ['"X"', 'token list']],
    ['sandbox env without a namespace', ['sandbox', 'env'], ['--namespace', '--admin']],
    ['a sandbox name that is none', ['sandbox', 'up', '--name', 'A b'], ['"A b"', 'lower-case']],
    ['a sandbox network that is none', ['sandbox', 'up', '--network', 'weave'], ["'weave'", 'bridge, cilium']],
    ['a sandbox without machines', ['sandbox', 'up', '--infra-nodes', '0'], ['--infra-nodes', 'from 1']],
  ],
  'cluster.yaml': [
    ['that is not there', deploy('-f', 'absent.yaml'), ['absent.yaml', 'no such file']],
    ['broken', deploy('-f', 'broken.yaml'), ['broken.yaml', 'line 3']],
    ['with an unknown key', deploy('-f', 'unknown.yaml'), ['"serviceCIDR"', 'did you mean "serviceCidr"']],
    ['of wrong types', deploy('-f', 'types.yaml'), ['--host', '--port', '--san', 'types.yaml']],
    ['with a key twice', deploy('-f', 'twice.yaml'), ['twice.yaml', 'line 2', 'duplicated']],
    ['that is a list', deploy('-f', 'list.yaml'), ['list.yaml', 'mapping']],
    ['that is a folder', deploy('-f', 'folder'), ['cannot read folder (--file)', 'it is a folder']],
  ],
  kubeconfigs: [
    [
      'a seal file that is not there',
      option('--seal-file', 'absent'),
      ['cannot read absent (--seal-file)', 'no such file'],
    ],
    ['absent', option('--kubeconfig', 'absent'), ['no kubeconfig at absent', '--kubeconfig']],
    ['a folder', option('--kubeconfig', 'folder'), ['is a directory']],
    ['empty', option('--kubeconfig', 'empty'), ['empty', 'kubeconfig']],
    ['prose', option('--kubeconfig', 'prose'), ['prose', 'kubeconfig']],
    ['broken YAML', option('--kubeconfig', 'broken'), ['broken', 'not a kubeconfig']],
    ['without a current context', option('--kubeconfig', 'no-current'), ['no current-context', '--context']],
    ['an unknown context', option('--context', 'prod'), ['no context "prod"', 'it has x']],
    ['an unknown user', option('--kubeconfig', 'no-user'), ['names a user']],
    ['a server that is no URL', option('--kubeconfig', 'not-a-url'), ['not a URL']],
    ['a plugin that is missing', option('--kubeconfig', 'plugin-missing'), ['no-such-plugin', 'installed']],
    ['a plugin that fails', option('--kubeconfig', 'plugin-fails'), ['"false" failed']],
    ['nothing listens', option(), ['https://127.0.0.1:1', 'cannot be reached', 'nothing listens']],
    ['the server does not resolve', option('--kubeconfig', 'unresolvable'), ['nowhere.invalid', 'does not resolve']],
  ],
};

describe.each(Object.entries(cases))('%s', (_, group) => {
  test.concurrent.each(group)('%s', async (_name, args, words) => {
    const { code, stdout, stderr } = await run(args);
    expect(code, stderr).toBe(2);
    for (const word of words) expect(stderr).toContain(word);
    expect(stdout).toBe('');
    expect(stderr).not.toMatch(/\n\s+at .*:\d+:\d+|ApiException|this is a bug|undefined|\[object/);
    // Told once, with a way on.
    if (words.length > 0) {
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
  expect(stdout).toMatch(/--service-cidr <CIDR> .*\(default: 10\.3\.0\.0\/16\)/);
  expect(stdout).toMatch(/--replicas <N> .*\(default: 1\)/);
  expect((await run(['help', 'etcd', 'repair'])).stdout).toContain('Usage: k8sk8s etcd repair');
});
