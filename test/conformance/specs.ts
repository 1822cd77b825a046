import { load } from 'js-yaml';

/** One spec of the suite with the [Conformance] tag. */
export interface Spec {
  /** The whole name, as ginkgo has it: `[sig-apps] Deployment should … [Conformance]`. */
  name: string;
  /** `apps` of `[sig-apps]`. */
  sig: string;
  /** Runs alone: it changes what others see, nodes for example. */
  serial: boolean;
}

/** Reads what `e2e.test --list-conformance-tests` prints: the suite's own conformance.yaml. */
export function parseSpecs(listing: string): Spec[] {
  const rows = load(listing) as { codename: string }[];
  return rows.map(({ codename }) => ({
    name: codename,
    sig: /^\[sig-([a-z-]+)\]/.exec(codename)?.[1] ?? 'other',
    serial: codename.includes('[Serial]'),
  }));
}

/** The specs whose names fit `focus` and do not fit `skip`; both are optional. */
export function selectSpecs(specs: Spec[], focus?: RegExp, skip?: RegExp): Spec[] {
  return specs.filter(({ name }) => (!focus || focus.test(name)) && !skip?.test(name));
}

/** A ginkgo --focus that fits this spec and no other; ginkgo puts the suite's description before a spec's name. */
export function focusOf({ name }: Spec): string {
  return `^Kubernetes e2e suite ${name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}$`;
}
