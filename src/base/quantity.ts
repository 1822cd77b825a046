const units: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/**
 * A Kubernetes quantity (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/) as a number
 * of its base unit: cores, bytes, objects.
 *
 * @returns undefined when `text` is none, which is no reason to take it for nothing
 */
export function parseQuantity(text: string): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(text);
  if (!match) return undefined;
  return Number(match[1]) * (match[2] === undefined ? units[match[3] ?? '']! : 10 ** Number(match[2]));
}

const wholeUnits = Object.entries(units).filter(([, unit]) => unit >= 1);

/**
 * One spelling for all that say the same amount (`20480Mi` and `20Gi`, `0.5` and `500m`), and what is no quantity as it is: a spelling in
 * a pod template or in a claim must not look like a change. The shortest one, of equally short ones the binary. Pure.
 */
export function canonicalQuantity(text: string): string {
  const amount = parseQuantity(text);
  if (amount === undefined || !Number.isFinite(amount)) return text;
  if (!Number.isInteger(amount)) {
    const thousandths = Math.round(amount * 1000);
    return Math.abs(thousandths - amount * 1000) < 1e-6 && thousandths !== 0 ? `${thousandths}m` : text;
  }
  const spellings = wholeUnits
    .filter(([, unit]) => amount % unit === 0)
    .map(([suffix, unit]) => `${amount / unit}${suffix}`);
  const isBinary = (spelling: string) => spelling.endsWith('i');
  const [shortest] = spellings.sort(
    (one, other) => one.length - other.length || Number(isBinary(other)) - Number(isBinary(one)),
  );
  return shortest ?? text;
}

/** The way people write it: memory in Mi, processors in thousandths. */
export function formatQuantity(resource: string, amount: number): string {
  if (/(memory|storage)$/.test(resource)) return `${Math.round(amount / 2 ** 20)}Mi`;
  return resource.endsWith('cpu') ? `${Math.round(amount * 1000)}m` : String(amount);
}

/** `57.3`: bytes as MiB, for people. Pure. */
export function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
