import { readFileSync } from 'node:fs';
import { loadAll } from 'js-yaml';
import { expect, test } from 'vitest';
import { ApiError } from '../../src/kube/errors.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { versionsOfExtension } from '../../src/kube/resources.ts';
import { specs } from '../golden/specs.ts';
import { connectAsHosted, newNamespace } from './world.ts';

const hostedNamespaces = new Set(['kube-system', 'default']);
const clusterWide = new Set(['ClusterRole', 'ClusterRoleBinding', 'FlowSchema']);

test.each(Object.keys(specs))(
  'a real API server accepts every manifest of %s, unknown fields refused',
  async (name) => {
    const { cluster } = await newNamespace();
    const hosted = await connectAsHosted();
    const objects = loadAll(readFileSync(`test/golden/rendered/${name}.yaml`, 'utf8')) as (KubeObject & {
      files?: string[];
    })[];
    for (const { files, ...object } of objects) {
      // Kinds that not every infra cluster serves are judged in exposures.test.ts.
      if (versionsOfExtension(object)) continue;
      // A golden file names the files of a Secret in the place of their bytes.
      if (files) Object.assign(object, { data: Object.fromEntries(files.map((file) => [file, ''])) });
      const isHosted = hostedNamespaces.has(object.metadata.namespace ?? '') || clusterWide.has(object.kind);
      const applying = isHosted ? hosted.apply(object, { dryRun: true }) : cluster.apply(object, { dryRun: true });
      // The addresses of kube-dns belong to the hosted cluster's ranges, which this server does not have.
      const outcome = await applying.catch((error) =>
        error instanceof ApiError &&
        /not in (any of )?the valid range|not in any of the|IPv6 is not configured/.test(error.message)
          ? 'range'
          : Promise.reject(error),
      );
      if (outcome === 'range') expect(object.kind).toBe('Service');
    }
  },
);
