import https, { type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';

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
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > longestAnswer) request.destroy(new Error('its answer is too long'));
        });
        text(response).then(resolve, reject);
      },
    );
    request.once('error', reject);
  });
}
