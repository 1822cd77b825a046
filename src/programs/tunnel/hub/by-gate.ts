import { request } from 'node:http';
import type { Connection } from '../../connect-proxy/connection.ts';
import { Refusal } from '../../connect-proxy/refusal.ts';

/** By the gate beside this, which judges it, and has said why where it refuses. @throws Refusal */
export function openByGate(socketPath: string, host: string, port: number): Promise<Connection> {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method: 'CONNECT', path: target });
    asked.once('error', (error) => reject(new Refusal('refused', `the gate does not answer: ${error.message}`)));
    asked.once('connect', ({ statusCode }, socket, head) => {
      socket.on('error', () => socket.destroy());
      if (statusCode !== 200) {
        socket.destroy();
        return reject(new Refusal('refused', 'the gate refuses'));
      }
      if (head.length > 0) socket.unshift(head);
      resolve({
        close: () => socket.destroy(),
        carry(client) {
          socket.once('close', () => client.destroy());
          client.once('close', () => socket.destroy());
          client.pipe(socket).pipe(client);
        },
      });
    });
    asked.end();
  });
}
