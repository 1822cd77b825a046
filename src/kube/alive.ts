import type WebSocket from 'ws';

/** Milliseconds: a middle box forgets a connection on which nothing was said for a minute. */
const pingEvery = 25_000;

/**
 * Sees to it that no middle box cuts a WebSocket that is silent for a while, as a port-forward is behind which somebody watches. A server
 * need not answer: what was sent and never arrives ends the connection.
 */
export function keepAlive(socket: WebSocket, every = pingEvery): void {
  const timer = setInterval(() => {
    if (socket.readyState === socket.OPEN) socket.ping();
  }, every);
  // Whoever waits for the connection keeps the process.
  timer.unref();
  socket.once('close', () => clearInterval(timer));
}
