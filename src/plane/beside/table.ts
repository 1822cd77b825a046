import { logStore } from './log-store/log-store.ts';
import { workerPods } from './worker-pods/worker-pods.ts';

/** What may stand beside a control plane. */
export const allBeside = [workerPods, logStore] as const;
