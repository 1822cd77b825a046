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

/** The way people write it: memory in Mi, processors in thousandths. */
export function formatQuantity(resource: string, amount: number): string {
  if (/(memory|storage)$/.test(resource)) return `${Math.round(amount / 2 ** 20)}Mi`;
  return resource.endsWith('cpu') ? `${Math.round(amount * 1000)}m` : String(amount);
}

/** `57.3`: bytes as MiB, for people. Pure. */
export function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
