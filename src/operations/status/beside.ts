import type { BesidePlane } from '../../plane/beside/beside.ts';
import { allBeside } from '../../plane/beside/table.ts';
import type { ComponentStatus } from './component-status.ts';

/** What stands beside a plane, each with what its status says of it. Pure. @param status by `statusName` */
export function besideIn(status: object): [BesidePlane, ComponentStatus][] {
  const byName = status as Record<string, ComponentStatus | undefined>;
  return allBeside.flatMap((beside: BesidePlane): [BesidePlane, ComponentStatus][] => {
    const its = byName[beside.statusName];
    return its ? [[beside, its]] : [];
  });
}
