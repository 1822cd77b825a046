import { type Decision, decide, type Node, type SigningRequest } from './decide.ts';
import { parseRequest } from './request.ts';

/** What the approver says of a request as it came: one that cannot be read is refused for good. Pure. */
export function judgeRequest(item: SigningRequest, nodes: readonly Node[]): Decision {
  try {
    return decide(item, parseRequest(Buffer.from(item.spec.request, 'base64').toString('utf8')), nodes);
  } catch (error) {
    return { approve: false, reason: error instanceof Error ? error.message : String(error), permanent: true };
  }
}
