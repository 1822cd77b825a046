import https from 'node:https';
import { text } from 'node:stream/consumers';

/** As whom an API server knows the bearer of a token: 401 where it does not. Each time by a new connection. */
export function knownBy(
  { server, authority }: { server: string; authority: { certificate: string } },
  token: string,
): Promise<{ status: number; username?: string; groups?: string[] }> {
  const url = `${server}/apis/authentication.k8s.io/v1/selfsubjectreviews`;
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  return new Promise((resolve, reject) => {
    const request = https.request(
      url,
      { method: 'POST', agent: false, ca: authority.certificate, headers },
      async (response) => {
        const words = await text(response);
        const { userInfo } = (response.statusCode === 201 ? JSON.parse(words).status : {}) as {
          userInfo?: { username: string; groups: string[] };
        };
        resolve({ status: response.statusCode!, ...userInfo });
      },
    );
    request.once('error', reject);
    request.end(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }));
  });
}
