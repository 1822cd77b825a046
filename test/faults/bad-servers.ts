import type { Outcome, Place } from './place.ts';
import type { Call, Fault, Judge } from './proxy.ts';
import { shuffled } from './random.ts';
import type { Faults, Finding } from './report.ts';

/** A bad server between the CLI and the infra cluster's API server, or in its place. */
interface BadServer {
  name: string;
  /** `success`: deploy and destroy have to succeed; `word`: they cannot, and have to say why. */
  expect: 'success' | 'word';
  judge(random: () => number): Judge;
}

const isWrite = ({ method, name }: Call) => method !== 'GET' && !/dry run|reviews$/.test(name);
const infra =
  (judge: (call: Call) => Fault | undefined): Judge =>
  (call) =>
    call.api === 'infra' ? judge(call) : undefined;
const sometimes =
  (share: number, fault: Fault) =>
  (random: () => number): Judge =>
    infra((call) => (!call.streaming && random() < share ? fault : undefined));
const first = (fault: Fault, which: (call: Call) => boolean) => () => {
  const seen = new Set<string>();
  return infra((call) => {
    if (!which(call) || seen.has(call.name)) return undefined;
    seen.add(call.name);
    return fault;
  });
};
const always = (fault: Fault) => () => infra(() => fault);

/** For so many milliseconds from the `from`-th call on. */
const outage = (from: number, milliseconds: number, fault: Fault) => () => {
  let until: number | undefined;
  return infra(({ number }) => {
    if (number < from) return undefined;
    until ??= Date.now() + milliseconds;
    return Date.now() < until ? fault : undefined;
  });
};

const badServers: BadServer[] = [
  {
    name: 'every fourth call answered 429, Retry-After 1',
    expect: 'success',
    judge: sometimes(0.25, { kind: 'answer', status: 429, retryAfter: 1 }),
  },
  {
    name: 'every fourth call answered 429 without Retry-After',
    expect: 'success',
    judge: sometimes(0.25, { kind: 'answer', status: 429 }),
  },
  {
    name: 'every call answered 429, Retry-After 3600',
    expect: 'word',
    judge: always({ kind: 'answer', status: 429, retryAfter: 3600 }),
  },
  {
    name: 'every tenth call answered 500',
    expect: 'success',
    judge: sometimes(0.1, { kind: 'answer', status: 500 }),
  },
  {
    name: 'every tenth call answered 503',
    expect: 'success',
    judge: sometimes(0.1, { kind: 'answer', status: 503 }),
  },
  {
    name: '503 for three seconds in the middle of it',
    expect: 'success',
    judge: outage(45, 3000, { kind: 'answer', status: 503 }),
  },
  { name: 'every call answered 503', expect: 'word', judge: always({ kind: 'answer', status: 503 }) },
  { name: 'every answer 300 ms late', expect: 'success', judge: always({ kind: 'slow', milliseconds: 300 }) },
  {
    name: 'one answer 20 s late',
    expect: 'success',
    judge: first({ kind: 'slow', milliseconds: 20_000 }, ({ name }) => name === 'GET infra services/apiserver'),
  },
  {
    name: 'the first answer to every read and apply cut in the middle',
    expect: 'success',
    judge: first({ kind: 'cut' }, ({ method, streaming }) => (method === 'GET' || method === 'PATCH') && !streaming),
  },
  {
    name: 'every watch cut in its first event',
    expect: 'success',
    judge: () => infra((call) => (call.streaming ? { kind: 'cut' } : undefined)),
  },
  {
    name: 'every tenth body ends in the middle as if it were whole',
    expect: 'success',
    judge: sometimes(0.1, { kind: 'short' }),
  },
  {
    name: 'the first answer to every write lost after the server acted',
    expect: 'success',
    judge: first({ kind: 'lost' }, isWrite),
  },
  {
    name: 'every tenth connection ended before the server saw the call',
    expect: 'success',
    judge: sometimes(0.1, { kind: 'refused' }),
  },
  {
    name: 'every watch told 410 Gone three times, then refused with 410',
    expect: 'success',
    judge: () =>
      infra(({ streaming, occurrence }) =>
        !streaming || occurrence > 6 ? undefined : occurrence <= 3 ? { kind: 'gone' } : { kind: 'answer', status: 410 },
      ),
  },
  {
    name: 'the first try of every apply and replacement answered 409',
    expect: 'success',
    judge: first({ kind: 'answer', status: 409 }, ({ method }) => method === 'PATCH' || method === 'PUT'),
  },
  {
    name: 'every write of a workload answered 409',
    expect: 'word',
    judge: () =>
      infra((call) =>
        isWrite(call) && /deployments|statefulsets/.test(call.name) ? { kind: 'answer', status: 409 } : undefined,
      ),
  },
  { name: 'a sign-in page instead of the API', expect: 'word', judge: always({ kind: 'page' }) },
  {
    name: 'a sign-in page from the 40th call on',
    expect: 'word',
    judge: () => infra(({ number }) => (number >= 40 ? { kind: 'page' } : undefined)),
  },
];

export interface ServerReport {
  tried: number;
  succeeded: number;
  stoppedClearly: number;
  /** Planes that the same command completed when the server was good again. */
  recovered: number;
  rows: { server: string; deploy: string; destroy: string }[];
  findings: Finding[];
  seconds: number;
}

/**
 * Runs deploy and destroy behind each of `count` bad servers, and then behind a good one: deploy has to complete the plane, and
 * destroy to leave nothing.
 */
export async function tryBadServers(place: Place, count: number, faults: Faults): Promise<ServerReport> {
  const started = Date.now();
  const report: ServerReport = {
    tried: 0,
    succeeded: 0,
    stoppedClearly: 0,
    recovered: 0,
    rows: [],
    findings: [],
    seconds: 0,
  };
  for (const server of shuffled(badServers, faults.random).slice(0, count)) {
    if (faults.isOver()) break;
    const found = (what: string, outcome: Outcome) =>
      report.findings.push({ what: `${server.name}: ${what}`, output: outcome.stderr });
    const judge = (command: 'deploy' | 'destroy', outcome: Outcome) => {
      const succeeded = command === 'deploy' ? place.isDeployed(outcome) : outcome.code === 0;
      report.tried++;
      if (succeeded) report.succeeded++;
      else if (isClear(outcome)) report.stoppedClearly++;
      else found(`${command} ended with ${outcome.code} and without a clear error`, outcome);
      if (!succeeded && server.expect === 'success') found(`${command} did not succeed`, outcome);
      if (succeeded && server.expect === 'word')
        found(`${command} says that it succeeded, although it cannot have`, outcome);
    };
    const deployed = await place.deploy({ judge: server.judge(faults.random) });
    judge('deploy', deployed);
    const again = await place.deploy();
    const destroyed = await place.destroy({ judge: server.judge(faults.random) });
    judge('destroy', destroyed);
    const last = await place.destroy();
    const { names, lease } = await place.state();
    if (place.isDeployed(again) && last.code === 0 && names.length === 0 && !lease) report.recovered++;
    else {
      if (!place.isDeployed(again)) found('deploy behind a good server again fails', again);
      if (last.code !== 0 || names.length > 0 || lease)
        found(
          `destroy behind a good server again leaves ${names.length} objects${lease ? ' and the lease' : ''}`,
          last,
        );
    }
    report.rows.push({ server: server.name, deploy: inWords(deployed), destroy: inWords(destroyed) });
    faults.progress(`${server.name}: deploy ${inWords(deployed)}; destroy ${inWords(destroyed)}`);
  }
  return { ...report, seconds: (Date.now() - started) / 1000 };
}

/** An error is clear when it says what happened, why and what to do, without a stack trace. */
function isClear({ code, stderr }: Pick<Outcome, 'code' | 'stderr'>): boolean {
  if (code !== 1 && code !== 2) return false;
  if (/this is a bug|^\s+at .*:\d+:\d+\)?$/m.test(stderr)) return false;
  return /^ERROR \S/m.test(stderr) && /^\s+do: +\S/m.test(stderr);
}

function inWords({ code, stderr, milliseconds }: Outcome): string {
  const took = `${(milliseconds / 1000).toFixed(1)} s`;
  if (code === 0) return `succeeded in ${took}`;
  const error = /^ERROR (.*)$/m.exec(stderr)?.[1] ?? stderr.trim().split('\n').at(-1) ?? '';
  return `stopped after ${took}: ${error}`;
}
