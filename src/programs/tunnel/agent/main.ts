import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createBoundedLog } from '../../bounded-log.ts';
import { keepTunnels } from './agent.ts';
import { readCredential } from './credential.ts';

// The agent on a worker that nobody can dial (docs/adr/0062-workers-that-nobody-can-dial.md): it dials, and leads to its own kubelet alone.

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '' },
    port: { type: 'string', default: '443' },
    /** Where to dial for that name; for tests. */
    dial: { type: 'string' },
    ca: { type: 'string', default: '' },
    /** The kubelet's client certificate and its key in one file, which the kubelet replaces. */
    credential: { type: 'string', default: '' },
    'kubelet-host': { type: 'string', default: '127.0.0.1' },
    'kubelet-port': { type: 'string', default: '10250' },
  },
});
const { host, port, dial, ca, credential } = values;

const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());

await keepTunnels(
  {
    host,
    port: Number(port),
    dial,
    trusted: () => readFileSync(ca, 'utf8'),
    credential: () =>
      readCredential(credential, (why) => {
        console.error(`started again: ${why}`);
        process.exit(1);
      }),
    kubelet: { host: values['kubelet-host'], port: Number(values['kubelet-port']) },
    say: createBoundedLog((line) => console.log(line)),
  },
  ending.signal,
);
process.exit(0);
