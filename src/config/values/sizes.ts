import { parseQuantity } from '../../base/quantity.ts';
import { checked, matches, matching } from './checked.ts';

const resourcePresets = ['small', 'limits', 'none'];
const quantity = '\\d+(?:\\.\\d+)?(?:m|k|M|G|T|Ki|Mi|Gi|Ti)?';
const resourcePattern = new RegExp(`^[a-z][a-z0-9-]*=((?:cpu|memory)=${quantity}(?:,(?:cpu|memory)=${quantity})?)$`);

/** A preset, or COMPONENT=cpu=QUANTITY,memory=QUANTITY (one of the two is enough); which components there are, plane/ knows. */
export const resources = checked(
  (value) =>
    resourcePresets.includes(value) || resourcePattern.test(value)
      ? undefined
      : `is neither a preset (${resourcePresets.join(', ')}) nor COMPONENT=cpu=…,memory=…`,
  {
    maxLength: 128,
    rule: `self in [${resourcePresets.map((preset) => `'${preset}'`).join(', ')}] || ${matches(resourcePattern.source)}`,
    message: `has to be ${resourcePresets.join(', ')}, or COMPONENT=cpu=100m,memory=256Mi`,
  },
);

/** `cpu=2,memory=4Gi`, both of them. */
export const podSize = matching(
  /^cpu=[1-9]\d{0,4}m?,memory=[1-9]\d{0,11}(Ki|Mi|Gi|Ti)?$/,
  'has to be cpu=N,memory=SIZE such as cpu=2,memory=4Gi',
  64,
);

/** In CEL, that `self` is a size of at least `smallest`. */
const isSize = (smallest: string) => `isQuantity(self) && quantity(self).compareTo(quantity('${smallest}')) >= 0`;

function sizeOf(value: string): number | undefined {
  const size = parseQuantity(value);
  return size !== undefined && Number.isFinite(size) ? size : undefined;
}

/** The size of a volume on which images are unpacked. */
export const volumeSize = checked(
  (value) => ((sizeOf(value) ?? 0) < 2 * 2 ** 30 ? 'has to be a size of at least 2Gi such as 20Gi' : undefined),
  { maxLength: 32, rule: isSize('2Gi'), message: 'has to be a size of at least 2Gi such as 20Gi' },
);

/** `auto`, `ephemeral` or the size of a volume. @param holder of the volume, in words */
const storage = (smallest: string, holder: string) =>
  checked(
    (value) => {
      if (value === 'auto' || value === 'ephemeral') return undefined;
      const size = sizeOf(value);
      if (size === undefined) return 'is neither auto, ephemeral nor a size such as 10Gi';
      return size < parseQuantity(smallest)! ? `is too small: ${holder} has at least ${smallest}` : undefined;
    },
    {
      maxLength: 32,
      rule: `self in ['auto', 'ephemeral'] || (${isSize(smallest)})`,
      message: `has to be auto, ephemeral, or a size of at least ${smallest} such as 10Gi`,
    },
  );

export const etcdStorage = storage('1Gi', "etcd's volume");
export const logsStorage = storage('512Mi', 'the store');
