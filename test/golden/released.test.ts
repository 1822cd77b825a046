import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import { differences } from '../../src/live/differences.ts';
import type { ConfigMap, KubeObject } from '../../src/kube/objects.ts';
import { type PlaneRecord, parseRecord } from '../../src/plane/record.ts';
import { renderPlane } from '../../src/plane/render.ts';
import { fixedPlane, withoutBytes } from './plane.ts';
import { specs } from './specs.ts';

/*
 * What released versions rendered for a plane that is available, one object a line, in released/VERSION/. These files stay
 * as they are. At a release, they are written by: K8SK8S_KEEP_RELEASE=VERSION npx vitest run --project golden released
 */

const folder = 'test/golden/released';
const kept = ['default', 'options', 'highly-available', 'konnectivity', 'own-network'];

/** What today's version changes on purpose, by the object and the fields, of planes that each released version deployed. */
const meant: Record<string, Record<string, string[]>> = {
  '0.1.0': {},
};

const version = process.env.K8SK8S_KEEP_RELEASE;
if (version)
  test.each(kept)('%s is kept as it is rendered', async (name) => {
    const objects = await render({ ...(await fixedPlane(specs[name]!, 'available')).record, toolVersion: version });
    mkdirSync(`${folder}/${version}`, { recursive: true });
    writeFileSync(`${folder}/${version}/${name}.jsonl`, objects.map((each) => `${JSON.stringify(each)}\n`).join(''));
  });

test.each(readdirSync(folder))(
  'a deploy over a plane of %s changes what is meant and nothing else',
  async (release) => {
    const found = new Map<string, Set<string>>();
    for (const file of readdirSync(`${folder}/${release}`)) {
      const lines = readFileSync(`${folder}/${release}/${file}`, 'utf8').trim().split('\n');
      const [recordObject, ...before] = lines.map((line) => JSON.parse(line) as KubeObject);
      const [, ...now] = await render(parseRecord(recordObject as ConfigMap)!);
      for (const name of new Set([...before, ...now].map(nameOf))) {
        const [old, next] = [before, now].map((objects) => objects.find((object) => nameOf(object) === name));
        const paths = old && next ? differences(old, next).map(({ path }) => path) : [old ? 'is gone' : 'is new'];
        for (const path of paths) found.set(name, (found.get(name) ?? new Set()).add(path));
      }
    }
    expect(Object.fromEntries([...found].map(([name, paths]) => [name, [...paths].sort()]))).toEqual(meant[release]);
  },
  60_000,
);

const nameOf = ({ kind, metadata }: KubeObject) => `${kind} ${metadata.name}`;

/** Everything of the plane of a record in the infra cluster, as it would come back from a file. */
async function render(recorded: PlaneRecord): Promise<KubeObject[]> {
  const spec = parseSpec({ ...recorded.spec, allowUntestedVersion: true }, 'in the record');
  const plane = { ...(await fixedPlane(spec, recorded.phase)), record: recorded };
  return JSON.parse(JSON.stringify(renderPlane(plane).all().map(withoutBytes))) as KubeObject[];
}
