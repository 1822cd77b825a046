import { checked, matches, matching } from './checked.ts';

/** https://HOST[:PORT], without a path. */
export const httpsUrl = checked(
  (value) =>
    /^https:\/\/[^/\s]+$/.test(value) && URL.canParse(value)
      ? undefined
      : 'has to be a URL such as https://10.0.0.7:6443',
  {
    maxLength: 270,
    rule: `${matches('^https://[^/\\s]+$')} && isURL(self)`,
    message: 'has to be a URL such as https://10.0.0.7:6443, without a path',
  },
);

/** https://HOST[:PORT][/PATH], as a token names who issued it. */
export const issuerUrl = checked(issuerProblem, {
  maxLength: 1024,
  rule: `${matches('^https://[^/\\s?#@]+(/[^\\s?#]*)?$')} && isURL(self)`,
  message: 'has to be a URL such as https://login.example.com/realm, without a user, query or fragment',
});

/** What the URL of an issuer may not be; undefined for a good one. Pure. */
export function issuerProblem(url: string): string | undefined {
  return /^https:\/\/[^/\s?#@]+(\/[^\s?#]*)?$/.test(url) && URL.canParse(url)
    ? undefined
    : 'has to be a URL such as https://login.example.com/realm, without a user, query or fragment';
}

/** Of a proxy. */
export const proxyUrl = matching(
  /^https?:\/\/[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?\/?$/,
  'has to be http://HOST:PORT without a user and a password: what a plane is deployed with is readable in its record',
  300,
);

/** What is asked without the proxy, as the variable NO_PROXY has it. */
export const proxyExceptions = matching(
  /^[A-Za-z0-9.*:_/-]+(,[A-Za-z0-9.*:_/-]+)*$/,
  'has to be a list of names, addresses and networks with commas, such as .corp.example,10.0.0.0/8',
  4096,
);
