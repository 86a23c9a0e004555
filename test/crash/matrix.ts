import { availableParallelism } from 'node:os';
import { ROOT } from '../../src/base/paths.ts';
import { type FakeModel, type Script, startModel } from '../fakes/model.ts';
import { randomOf } from '../fakes/random.ts';
import { isClean, judge, type Verdict } from './judge.ts';
import { collectPoints, type FaultPoint } from './points.ts';
import { hasJoined } from './rows.ts';
import { type Extra, play } from './scenario.ts';
import { seed } from './seed.ts';
import { type FaultPlan, World } from './world.ts';

/**
 * The crash matrix: each run starts a world, plays the scenario, kills what its plan says at the fault points that its
 * plan says, waits until everything has come back by itself, and lets the journal of the platform judge.
 */
export interface RunPlan {
  seed: number;
  /** Each in a life of its own of the process that passes the point. */
  faults: Fault[];
  thinker: 'probe' | 'native' | 'claude';
  runtime: 'bubblewrap' | 'docker';
}

export interface Fault {
  point: FaultPoint;
  /** At which pass of the point, of that life. */
  hit: number;
  victims: string[];
}

export interface RunResult {
  plan: RunPlan;
  verdict: Verdict | null;
  /** Why the run itself failed: it never came to rest, say. */
  failure: string | null;
  /** Those that happened, as `killed host+gateway at ledger.settle:after`. */
  kills: string[];
  /** Of a run that is watched: its points, as each was first passed. */
  passed: string[];
  /** A message that was pushed in mid-turn has joined the turn of the model's group. */
  steered: boolean;
  ms: number;
  home: string;
}

/** Points that only a second life passes, and what must have happened in the first one. */
const FIRST_LIFE: Record<string, FaultPlan> = {
  'ledger.reconcile': { point: 'channel.send:after', hit: 1, kill: ['host'] },
  'ledger.draft_found': { point: 'channel.draft:after', hit: 1, kill: ['host'] },
  'ledger.recover': { point: 'ledger.turn:after', hit: 1, kill: ['host'] },
  'audit.recover': { point: 'model.request:before', hit: 1, kill: ['gateway'] },
};
/** What has to happen for somebody to come past a point, where the scenario does it only when it is asked for. */
const EXTRAS: Record<string, Extra> = {
  'ledger.started_safe': 'safe',
  'ledger.holds_lost': 'away',
  'ledger.alert_again': 'away',
  'ledger.alerts_kept': 'held',
  'ledger.alert_arrived': 'sweep',
  'ledger.return': 'restart',
  'ledger.stopped': 'restart',
  'ledger.quit': 'deaf',
};
/** Runs beside each other: one waits for a part of its time. */
export const LANES = availableParallelism() + 1;
/** Lives of a process in a run of the tour. */
const LIVES = 4;
/** Passes of a point, the first one as often as both others: of some points there is no other. */
const HITS = [1, 1, 2, 3];
/** Of the chat delta, the third one that a scenario begins a session for. */
const MODEL_SANDBOX = 'sandbox-s3';
/** With those of alpha and beta. */
const SANDBOXES = ['sandbox-s1', 'sandbox-s2', MODEL_SANDBOX];

/** A prime, so that it comes to all of them. */
const POINT_STEP = 37;
/** While the model is asked: here its sandbox dies, alone or with who passes. */
const MODEL_AT_WORK = ['model.request:after', 'model.reply:before'];

export interface PlanOptions {
  /** Runs after the tour. */
  seeded: number;
  claudeShare: number;
  docker: boolean;
  doubleShare: number;
  seed: number;
}

/**
 * First a tour in which each point's own process is killed at its first pass, several in a run; then the deaths of Claude's
 * sandbox at work; then runs that kill once, at one point after another, whoever and at whichever pass their seed says.
 * `order`: points as a run that nobody dies in comes past them.
 */
export function planRuns(options: PlanOptions, order: readonly string[]): RunPlan[] {
  const points = collectPoints(ROOT);
  const tour = tourOf(points, order);
  const first = [...tour, ...modelDeaths(points)];
  return Array.from({ length: first.length + options.seeded }, (_, index) => {
    const seed = options.seed + index;
    const random = randomOf(seed);
    // In steps, so that few runs come past points of every kind, and many past each.
    const drawn = points[(index * POINT_STEP) % points.length]!;
    const faults = first[index] ?? [faultAt(drawn, random, options.doubleShare)];
    const claude = index >= first.length ? random() < options.claudeShare : index >= tour.length;
    const runtime = options.docker && index % 5 === 4 ? 'docker' : 'bubblewrap';
    return { seed, faults, thinker: claude ? 'claude' : 'native', runtime };
  });
}

/** Nobody dies; what is passed is written down. */
export const WATCHED: RunPlan = { seed: 0, faults: [], thinker: 'native', runtime: 'bubblewrap' };

/** One kill of the point's own process, for a point that the tour did not come past in the life that it was planned for. */
export function planPoint(name: string, seed: number): RunPlan {
  const point = collectPoints(ROOT).find((each) => each.name === name)!;
  return { seed, faults: [firstPass(point)], thinker: 'native', runtime: 'bubblewrap' };
}

const firstPass = (point: FaultPoint): Fault => ({ point, hit: 1, victims: [point.process] });

/**
 * Several lives of each of the two processes, so that many points are done in the time of one. A later life goes on where the one
 * before has died: it is given what a run comes past later.
 */
function tourOf(points: FaultPoint[], order: readonly string[]): Fault[][] {
  const [host, gateway] = (['host', 'gateway'] as const).map((process) =>
    points
      .filter((point) => point.process === process)
      .sort((one, other) => placeIn(order, one) - placeIn(order, other)),
  );
  const runs = Math.ceil(Math.max(host!.length, gateway!.length) / LIVES);
  return Array.from({ length: runs }, (_, i) =>
    [host!, gateway!].flatMap((own) => own.filter((_point, at) => at % runs === i).map(firstPass)),
  );
}

/** When a run comes past it: what only a second life does, after what the first one dies at; what is extra, at its beginning or end. */
function placeIn(order: readonly string[], point: FaultPoint): number {
  const base = baseOf(point);
  if (EXTRAS[base] !== undefined) return EXTRAS[base] === 'safe' ? -1 : order.length;
  const at = order.indexOf(FIRST_LIFE[base]?.point ?? point.name);
  return at === -1 ? order.length : at;
}

function modelDeaths(points: FaultPoint[]): Fault[][] {
  return points
    .filter(({ name }) => MODEL_AT_WORK.includes(name))
    .flatMap((point) =>
      [[MODEL_SANDBOX], [point.process, MODEL_SANDBOX]].map((victims) => [{ point, hit: 1, victims }]),
    );
}

function faultAt(point: FaultPoint, random: () => number, doubleShare: number): Fault {
  const sandbox = pick(SANDBOXES, random());
  const one = pick([[point.process], [sandbox], ['host'], ['gateway']], random());
  const two = pick(
    [
      ['host', 'gateway'],
      [point.process, sandbox],
      [point.process, sandbox],
    ],
    random(),
  );
  const victims = random() < doubleShare ? two : one;
  return { point, hit: pick(HITS, random()), victims };
}

/** What a process has to die of, life by life. */
function livesOf(plan: RunPlan, process: FaultPoint['process']): FaultPlan[] {
  const own = plan.faults.filter(({ point }) => point.process === process);
  return own.flatMap(({ point, hit, victims }) => {
    const main = { point: point.name, hit, kill: victims };
    const first = FIRST_LIFE[baseOf(point)];
    return first === undefined ? [main] : [first, main];
  });
}

function baseOf(point: FaultPoint): string {
  return point.name.replace(/:.*$/, '');
}

export async function runOne(plan: RunPlan, model: FakeModel, root = ROOT): Promise<RunResult> {
  const began = performance.now();
  const extras = plan.faults.flatMap(({ point }) => EXTRAS[baseOf(point)] ?? []);
  const world = new World({
    root,
    runtime: plan.runtime,
    modelOrigin: model.origin,
    thinker: plan.thinker,
    faults: { host: livesOf(plan, 'host'), gateway: livesOf(plan, 'gateway') },
    safe: extras.includes('safe'),
    watched: plan === WATCHED,
  });
  let verdict: Verdict | null = null;
  let failure: string | null = null;
  let steered = false;
  try {
    await seed(world);
    await world.start();
    const expected = await play(world, {
      extras,
      pushed: plan.thinker === 'claude' ? 3 : 1,
      random: randomOf(plan.seed),
    });
    verdict = await judge(world, expected);
    steered = hasJoined(world, 'delta');
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  const [kills, passed] = [world.kills(), world.passed()];
  await world.end(failure !== null || verdict === null || !isClean(verdict));
  return {
    plan,
    verdict,
    failure,
    kills,
    passed,
    steered,
    ms: Math.round(performance.now() - began),
    home: world.home,
  };
}

/** Runs plans in lanes beside each other; `onResult` hears of each as it ends. */
export async function runAll(
  plans: RunPlan[],
  lanes: number,
  onResult: (result: RunResult) => void,
): Promise<RunResult[]> {
  const model = await startModel({ script: tokenScript });
  const queue = [...plans];
  const results: RunResult[] = [];
  const lane = async (): Promise<void> => {
    for (let plan = queue.shift(); plan !== undefined; plan = queue.shift()) {
      const result = await runOne(plan, model);
      results.push(result);
      onResult(result);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  await model.close();
  return results;
}

/** Answers with the tokens of everything that was said since its last answer, so that each answer names what it answers. */
export const tokenScript: Script = (request) => {
  const messages: { role: string }[] = request.json.messages ?? [];
  const fresh = JSON.stringify(messages.slice(messages.findLastIndex(({ role }) => role === 'assistant') + 1));
  const own = fresh.replace(/<earlier_conversation>.*?<\/earlier_conversation>/g, '');
  return { text: `model: ${[...new Set(own.match(/<[a-z]\d+>/g))].join(' ') || 'nothing'}` };
};

export interface Report {
  runs: number;
  clean: number;
  lost: number;
  duplicated: number;
  twice: number;
  /** In which somebody was killed; in the others nobody came past the place, or who was to die was not there. */
  with_a_kill: number;
  double_kills: number;
  claude_runs: number;
  /** Of them, those in which a message joined the model's turn. */
  claude_steered: number;
  docker_runs: number;
  /** Kills that happened, by who died. */
  victims: Record<string, number>;
  /** And by point and who died. */
  kills: Record<string, number>;
  /** Points that no run was killed at. */
  spared: string[];
  problems: string[];
}

export function reportOf(results: RunResult[]): Report {
  const lines = results.flatMap((result) => result.kills);
  const kills = countOf(lines);
  const sum = (of: (verdict: Verdict) => number): number =>
    results.reduce((total, result) => total + (result.verdict === null ? 0 : of(result.verdict)), 0);
  const runs = (is: (result: RunResult) => boolean): number => results.filter(is).length;
  const bad = results.filter((result) => !isGood(result));
  return {
    runs: results.length,
    clean: results.length - bad.length,
    lost: sum((verdict) => verdict.lost.length),
    duplicated: sum((verdict) => verdict.duplicated.length),
    twice: sum((verdict) => verdict.twice.length),
    with_a_kill: runs((result) => result.kills.length > 0),
    double_kills: runs((result) => result.kills.some((line) => line.includes('+'))),
    claude_runs: runs(({ plan }) => plan.thinker === 'claude'),
    claude_steered: runs(({ plan, steered }) => plan.thinker === 'claude' && steered),
    docker_runs: runs(({ plan }) => plan.runtime === 'docker'),
    victims: countOf(lines.map((line) => line.replace(/^killed (\S+) at .*$/, '$1'))),
    kills,
    spared: collectPoints(ROOT)
      .map((point) => point.name)
      .filter((name) => !Object.keys(kills).some((line) => line.endsWith(` at ${name}`))),
    problems: bad.map(
      (result) =>
        `${describe(result.plan)}: ${result.failure ?? JSON.stringify(result.verdict)} (kept in ${result.home})`,
    ),
  };
}

function countOf(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

export function isGood({ failure, verdict }: RunResult): boolean {
  return failure === null && verdict !== null && isClean(verdict);
}

export function describe({ seed, faults, thinker, runtime }: RunPlan): string {
  const kills = faults.map(({ point, hit, victims }) => `${victims.join('+')} at ${point.name} (hit ${hit})`);
  return `seed ${seed}: kill ${kills.join(', ') || 'nobody'}, ${thinker}, ${runtime}`;
}

function pick<T>(list: T[], random: number): T {
  return list[Math.floor(random * list.length)]!;
}

/** `node test/crash/matrix.ts --runs 500`: the tour and so many more, with a report on standard output. */
async function main(): Promise<void> {
  const at = process.argv.indexOf('--runs');
  const runs = at === -1 ? 0 : Number(process.argv[at + 1]);
  const seedAt = process.argv.indexOf('--seed');
  const tell = (result: RunResult): void => {
    const state = isGood(result) ? 'clean' : (result.failure ?? JSON.stringify(result.verdict));
    console.error(`${describe(result.plan)}: ${state} (${result.ms} ms, ${result.kills.length} kills)`);
  };
  const [watched] = await runAll([WATCHED], 1, tell);
  const options = {
    ...{ seeded: runs, claudeShare: 0.12, doubleShare: 0.2, docker: process.argv.includes('--docker') },
    seed: seedAt === -1 ? 1 : Number(process.argv[seedAt + 1]),
  };
  const plans = planRuns(options, watched!.passed);
  const only = process.argv.indexOf('--only');
  const chosen = only === -1 ? plans : plans.filter((plan) => describe(plan).includes(process.argv[only + 1]!));
  const results = await runAll(chosen, LANES, tell);
  const report = reportOf([watched!, ...results]);
  console.log(JSON.stringify(report, null, 2));
  const missed = only === -1 ? report.spared : [];
  process.exitCode = report.problems.length + missed.length === 0 ? 0 : 1;
}

if (import.meta.main) await main();
