import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UserError } from '../../src/base/errors.ts';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpec } from '../../src/config/schema.ts';
import { connectHosted } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import { type Credential, createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { authenticationText, openingsOf } from '../../src/plane/components/kube-apiserver/identity.ts';
import { clientId, type IdentityProvider, startProvider } from '../identity-provider.ts';
import { knownBy } from '../known-by.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { egressConfig, type GateProcess, ownAddress, startGate } from './gate-process.ts';
import { put, replicaOf, untilTakenOver } from './taken-over.ts';

/*
 * Who gets in, where a plane has two API servers: both with a gate of its own, on one etcd, and each with its own copy of the files, as
 * the kubelets of two nodes write them. An API server looks at most once a minute, so it runs with `npm run test:all`. The tests follow each other.
 */

interface Server {
  name: string;
  folder: string;
  plane: ControlPlane;
  gate: GateProcess;
  hosted: HostedCluster;
}

describe.runIf(runsAllOf('api/identity-replicas'))('two API servers', () => {
  const servers: Server[] = [];
  let authority: Credential;
  let provider: IdentityProvider;
  let second: IdentityProvider;

  const specOf = (issuer?: string) =>
    parseSpec(
      {
        host: 'k.example.com',
        ...(issuer !== undefined && { oidcIssuer: issuer, oidcClientId: clientId, oidcCa: provider.ca }),
      },
      'here',
    );
  const hand = ({ folder }: Server, spec: ClusterSpec, openings = spec) => {
    put(folder, 'openings.json', JSON.stringify(openingsOf(openings)));
    put(folder, 'authentication.yaml', authenticationText(spec));
  };
  const taken = (spec: ClusterSpec, timeout: number) =>
    untilTakenOver(
      servers.map(({ name, plane, hosted }) => replicaOf(name, plane, hosted)),
      'authentication.yaml',
      authenticationText(spec),
      timeout,
    );

  async function start(name: string, beside?: ControlPlane): Promise<Server> {
    const folder = mkdtempSync(path.join(tmpdir(), `k8sk8s-${name}-`));
    put(folder, 'authentication.yaml', authenticationText(specOf()));
    put(folder, 'openings.json', JSON.stringify(openingsOf(specOf())));
    const plane = await startControlPlane(
      [],
      (file) => [
        `--egress-selector-config-file=${file('egress.yaml', egressConfig(folder))}`,
        `--authentication-config=${folder}/authentication.yaml`,
      ],
      beside,
    );
    const gate = await startGate(plane, folder, authority.certificate, [`--openings=${folder}/openings.json`]);
    const client = await issueLeaf(plane.authority, {
      commonName: 'admin',
      organizations: ['system:masters'],
      usages: ['clientAuth'],
    });
    const { server } = plane;
    const hosted = connectHosted({ server, certificateAuthority: plane.authority.certificate, client });
    return { name, folder, plane, gate, hosted };
  }

  const knows = async ({ plane }: Server, token: string) => (await knownBy(plane, token)).username === 'oidc:alice';

  beforeAll(async () => {
    authority = await createAuthority('identity provider');
    const options = { accounts: { alice: ['team-g'] }, host: ownAddress(), authority };
    provider = await startProvider(options);
    second = await startProvider(options);
    servers.push(await start('kube-apiserver-a'));
    servers.push(await start('kube-apiserver-b', servers[0]!.plane));
  });

  afterAll(async () => {
    for (const { gate, hosted, plane, folder } of servers.reverse()) {
      await hosted.close();
      gate.process.kill('SIGKILL');
      await plane.stop();
      rmSync(folder, { recursive: true, force: true });
    }
    await Promise.all([provider, second].map((each) => each?.stop()));
  });

  test('the wait ends when the second one works by the new file, too', async () => {
    const [a, b] = servers as [Server, Server];
    const spec = specOf(provider.issuer);
    const alice = await provider.login('alice');
    hand(a, spec);
    await untilTakenOver(
      [replicaOf(a.name, a.plane, a.hosted)],
      'authentication.yaml',
      authenticationText(spec),
      90_000,
    );
    expect([await knows(a, alice), await knows(b, alice)]).toEqual([true, false]);
    let over = false;
    const waiting = taken(spec, 90_000).then(() => (over = true));
    await sleep(5000);
    expect(over).toBe(false);
    hand(b, spec);
    await waiting;
    expect([await knows(a, alice), await knows(b, alice)]).toEqual([true, true]);
  }, 240_000);

  test('one that does not take it over is named with what it says, and no other one', async () => {
    const [a, b] = servers as [Server, Server];
    const next = specOf(second.issuer);
    hand(a, next);
    // The gate of this one leads to the first issuer alone.
    hand(b, next, specOf(provider.issuer));
    const error = await taken(next, 75_000).catch((reason: unknown) => reason);
    expect(error).toEqual(refused('identity-not-taken', b.name, 'refused by the gate'));
    expect((error as UserError).what).not.toContain(a.name);
    expect([await knows(a, await second.login('alice')), await knows(b, await second.login('alice'))]).toEqual([
      true,
      false,
    ]);
  });

  test('back again each works by the rules of before', async () => {
    const spec = specOf(provider.issuer);
    for (const each of servers) hand(each, spec);
    await taken(spec, 150_000);
    const [token, other] = [await provider.login('alice'), await second.login('alice')];
    for (const each of servers) {
      expect(await knows(each, token)).toBe(true);
      expect(await knows(each, other)).toBe(false);
    }
  }, 200_000);
});
