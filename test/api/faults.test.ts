import { expect, test } from 'vitest';
import { tryBadServers } from '../faults/bad-servers.ts';
import { runEveryLook } from '../faults/every-command.ts';
import { killDeploys, killDestroys } from '../faults/kill-points.ts';
import { Place } from '../faults/place.ts';
import { seededRandom } from '../faults/random.ts';
import type { Faults } from '../faults/report.ts';
import { SecretSearch } from '../faults/secrets.ts';
import { runsAllOf } from '../test-all.ts';
import { newNamespace } from './world.ts';

// The short form of `npm run faults`: the built command line against a real API server, killed and disturbed by the
// proxy in between. There are no nodes here, so a deploy is done when it waits for etcd's pod; what follows, up to the
// hosted cluster's own objects, is the long form's. A run takes a sample, another one each time; its seed is printed.

/** `npm run test:all` tries every call and every bad server. */
const all = runsAllOf('api/faults');
const timeout = all ? 1_800_000 : 180_000;
const seed = Number(process.env.K8SK8S_SEED ?? Date.now() % 100_000);

/** Of one test: the tests run beside each other, since most of their time is waited for. */
function faultsOf(said: string[]): Faults {
  return {
    random: seededRandom(seed),
    isOver: () => false,
    progress: (text) => {
      said.push(text);
      if (all) console.log(text);
    },
  };
}

async function place<T>(work: (place: Place) => Promise<T>): Promise<T> {
  const { kubeconfig, name } = await newNamespace();
  const home = await Place.withoutNodes(kubeconfig, name);
  try {
    return await work(home);
  } finally {
    await home.close();
  }
}

test.concurrent('deploy killed after a call and run again makes the same objects, with the same CA', {
  timeout,
}, async () => {
  const said = [`seed ${seed}`];
  const report = await place((home) => killDeploys(home, { points: all ? undefined : 6, skip: 0 }, faultsOf(said)));
  expect(report.findings, said.join('\n')).toEqual([]);
  expect(report.tried).toBeGreaterThan(0);
  expect(report.converged).toBe(report.tried);
});

test.concurrent('destroy killed after a call and run again leaves nothing', { timeout }, async () => {
  const said = [`seed ${seed}`];
  const report = await place((home) => killDestroys(home, { points: all ? undefined : 3, skip: 0 }, faultsOf(said)));
  expect(report.findings, said.join('\n')).toEqual([]);
  expect(report.tried).toBeGreaterThan(0);
  expect(report.converged).toBe(report.tried);
});

test.concurrent('behind a bad server deploy and destroy come through or say why not', { timeout }, async () => {
  const said = [`seed ${seed}`];
  const report = await place((home) => tryBadServers(home, all ? 1000 : 3, faultsOf(said)));
  expect(report.findings, said.join('\n')).toEqual([]);
  expect(report.recovered).toBe(report.rows.length);
});

test.concurrent('nothing that a command says carries a key or a token', { timeout }, async () => {
  const { kubeconfig, name } = await newNamespace();
  const home = await Place.withoutNodes(kubeconfig, name);
  try {
    const search = new SecretSearch(home);
    search.watchProcesses();
    await home.deploy();
    await search.collect();
    await runEveryLook(home);
    const report = await search.report();
    expect(report.findings).toEqual([]);
    expect(report.needles).toBeGreaterThan(20);
    expect(home.heard.length).toBeGreaterThan(40);
    // What looks for keys finds them where they are meant to be.
    expect(home.heard.some(({ stream, text }) => stream === 'stdout' && /client-key-data: \S{100}/.test(text))).toBe(
      true,
    );
  } finally {
    await home.close();
  }
});
