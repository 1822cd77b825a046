import type { ClusterSpec } from '../../config/schema.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { readRecord } from '../../live/record.ts';
import type { PlaneRecord } from '../../plane/record.ts';

/**
 * The whole spec: what a person asks for over what the namespace's record says, if there is one. Pure, so that it can be
 * asked again when the record has changed.
 *
 * @throws UserError `bad-values`
 */
export type SpecChoice = (recorded: PlaneRecord | undefined) => ClusterSpec;

/**
 * The spec as the namespace's record lets it be now. A record that cannot be read counts as none where the spec does without:
 * what is wrong with the namespace is for preflight to say, together with all else.
 *
 * @throws UserError as `choose`, and the error of the reading where the spec needs the record
 */
export async function chooseSpecFor(
  cluster: InfraCluster,
  choose: SpecChoice,
): Promise<{ spec: ClusterSpec; recorded: PlaneRecord | undefined }> {
  let recorded: PlaneRecord | undefined;
  try {
    recorded = await readRecord(cluster);
  } catch (error) {
    try {
      return { spec: choose(undefined), recorded: undefined };
    } catch {
      throw error;
    }
  }
  return { spec: choose(recorded), recorded };
}
