import type { Connection } from '../kube/connection.ts';

export interface OperatorOptions {
  connection: Connection;
  /** Where the operator's Lease is. */
  namespace: string;
  /** Which operator this is, for its Lease and for planes' locks. */
  identity: string;
  hostedBy: 'address' | 'service';
  /** How many planes are worked on at a time. */
  workers: number;
  /** Milliseconds for each step of a plane. */
  timeout: number;
  /** Milliseconds between two full looks at a plane of which nothing was noticed. */
  every: number;
  /** Milliseconds that an object with the policy Backup waits for its last backup, once it is deleted. */
  backupPatience: number;
  /** Port of /metrics, /livez and /readyz; left out: none is opened. */
  port?: number;
  signal: AbortSignal;
  log(entry: LogEntry): void;
}

/** One line of the log. */
interface LogEntry {
  /** Namespace of the plane; absent where it is about the operator. */
  plane?: string;
  level: 'info' | 'warning';
  text: string;
}
