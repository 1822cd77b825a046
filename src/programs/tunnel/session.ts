import type { Http2Session, SecureClientSessionOptions } from 'node:http2';

/*
 * What both ends of a tunnel agree on. The worker dials, and then it is the server of HTTP/2: the hub beside an API server opens a
 * stream by CONNECT for each connection to the worker's kubelet.
 */

/** Only who offers this in the TLS hello is an agent; whoever offers nothing is a relay, for pods that dial the API. */
export const tunnelProtocol = 'h2';

/** Where the hub tells an agent which hub it is, and which others there are. */
export const hubPath = '/hub';

/** What a hub says of itself and of its like. */
export interface HubWords {
  /** Its pod's name. */
  hub: string;
  /** Another one after each start: a hub that was started again does not know its agents any more. */
  start: string;
  /** Every hub of the plane, this one among them. */
  hubs: string[];
}

/** Of what a reader has not taken yet, on one stream: whoever does not read a log holds back no more than this. */
const streamWindow = 64 << 10;
/** Of all streams together. HTTP/2 counts as read what waits for its own stream's reader, so no stream holds back the others. */
const sessionWindow = 16 << 20;
/** MiB. The default, 10, is less than some hundred unread streams hold; more than this the containers do not have. */
const sessionMemory = 64;

/** Options of both ends. */
export const sessionOptions: SecureClientSessionOptions = {
  maxSessionMemory: sessionMemory,
  settings: { enablePush: false, initialWindowSize: streamWindow },
};

/** A middle box forgets silent connections after a minute, and some sooner. */
const pingEvery = 2000;
/** Of silence after which the other end is dead: a call has to fail within 10 s. */
const deadAfter = 7000;

/**
 * Sees to it that a session ends when the other end is dead, and that no middle box takes it for idle.
 *
 * @param every milliseconds between two pings; for tests
 */
export function watchOver(session: Http2Session, every = pingEvery, limit = deadAfter): void {
  session.setLocalWindowSize(sessionWindow);
  let heard = performance.now();
  let looked = heard;
  const timer = setInterval(() => {
    if (session.destroyed) return;
    const now = performance.now();
    // This process itself may have stood still; then what has arrived is read before anybody is called dead.
    const stoodStill = now - looked > 2 * every;
    looked = now;
    if (stoodStill) heard = Math.max(heard, now - every);
    if (now - heard > limit) return session.destroy(new Error('no sign of life'));
    session.ping((error) => {
      if (!error) heard = performance.now();
    });
  }, every);
  session.once('close', () => clearInterval(timer));
}
