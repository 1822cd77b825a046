import https, { type RequestOptions } from 'node:https';
import { boundedText } from '../../base/bounded-text.ts';

const longestAnswer = 1 << 20;

/**
 * A small document by GET. Redirects are not followed: where they lead was opened by nobody.
 *
 * @throws Error when the answer is not 200, is longer than 1 MiB, or does not come within `milliseconds`
 */
export function fetchText(
  url: string,
  milliseconds: number,
  { headers, ...options }: Pick<RequestOptions, 'ca' | 'lookup'> & { headers?: Record<string, string> },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(milliseconds);
    const request = https.get(
      url,
      { ...options, signal, headers: { 'User-Agent': 'k8sk8s-gate', ...headers } },
      (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          return reject(new Error(`it answers ${response.statusCode}`));
        }
        boundedText(response, longestAnswer).then(resolve, reject);
      },
    );
    request.once('error', reject);
  });
}
