import { nthAddress, parseCidr } from '../../base/cidr.ts';
import { checked } from './checked.ts';

/** The prefixes that a network may have, from that of the largest one to that of the smallest one. */
interface Prefixes {
  4: [largest: number, smallest: number];
  6: [largest: number, smallest: number];
}

/**
 * What is wrong with one network, or with two as `10.3.0.0/16,fd00:3::/108`. IPv4 comes first, because the first family is that of the
 * Service kubernetes, whose endpoint is an address of the infra cluster, and planes have IPv4 ones (docs/networks.md). Pure.
 */
function networksProblem(value: string, prefixes: Prefixes, example: string): string | undefined {
  const texts = value.split(',');
  if (texts.length > 2) return `is more than two networks; two are one of IPv4 and one of IPv6, such as ${example}`;
  const parsed = texts.map(parseCidr);
  const [first, second] = parsed;
  if (parsed.includes(undefined) || first === undefined)
    return `is not a network in CIDR form such as 10.3.0.0/16, nor two such as ${example}`;
  if (first.family === 6)
    return second === undefined
      ? `is IPv6 alone, which is not supported: the API server has an IPv4 address. Give an IPv4 network, or two such as ${example}`
      : `begins with IPv6, which is not supported: the first network is that of the Service kubernetes, and the API server has an IPv4 address. Write ${second.text},${first.text}`;
  if (second?.family === 4) return `is two IPv4 networks; two are one of IPv4 and one of IPv6, such as ${example}`;
  for (const each of [first, ...(second ? [second] : [])]) {
    const [largest, smallest] = prefixes[each.family];
    const written = `${nthAddress(each, 0)}/${each.prefix}`;
    if (each.text !== written)
      return `has host bits set, or is spelled as Kubernetes does not spell it; write ${written}`;
    const which = second === undefined ? '' : ` (${each.text})`;
    if (each.prefix > smallest) return `is too small${which}: at least a /${smallest} is needed`;
    if (each.prefix < largest) return `is too large${which}: at most a /${largest}`;
  }
  return undefined;
}

/** One IPv4 network without host bits, or two, the second one of IPv6. */
export const networks = (prefixes: Prefixes, example: string) => {
  const fits = (text: string, family: 4 | 6) => {
    const [largest, smallest] = prefixes[family];
    return `cidr(${text}).ip().family() == ${family} && string(cidr(${text}).masked()) == ${text} && cidr(${text}).prefixLength() >= ${largest} && cidr(${text}).prefixLength() <= ${smallest}`;
  };
  return checked((value) => networksProblem(value, prefixes, example), {
    maxLength: 62,
    rule: `self.split(',').size() <= 2 && self.split(',').all(each, isCIDR(each)) && ${fits("self.split(',')[0]", 4)} && (self.split(',').size() == 1 || (${fits("self.split(',')[1]", 6)}))`,
    message: `has to be an IPv4 network without host bits, of a prefix from /${prefixes[4].join(' to /')}, or two with an IPv6 network second, of a prefix from /${prefixes[6].join(' to /')}, such as ${example}`,
  });
};
