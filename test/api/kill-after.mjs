// Loaded into the operator by --import: the process ends by SIGKILL after the answer number KILL_AFTER of the API server to a request
// that changes something.
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';

let left = Number(process.env.KILL_AFTER ?? /--title=kill-after-(\d+)/.exec(process.env.NODE_OPTIONS)?.[1]);
const request = https.request;
https.request = (...args) => {
  const sent = request(...args);
  if (sent.method !== 'GET')
    sent.prependOnceListener('response', () => {
      left -= 1;
      if (left <= 0) process.kill(process.pid, 'SIGKILL');
    });
  return sent;
};
syncBuiltinESMExports();
