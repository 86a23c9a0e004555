import { SWEEP_MS } from '../../src/base/limits/messages.ts';
import {
  answerAgent,
  askForRequest,
  besides,
  checkItself,
  desk,
  letIn,
  liveSession,
  missGateway,
  runTasks,
  spareChannel,
  stopGroup,
  wireSpare,
} from './acts.ts';
import { holdLedger, rowOf, unrest } from './rows.ts';
import { COLD_MS, eventually, FLAKY_YAML, type World } from './world.ts';

/**
 * What happens in every run: people write in seven chats of the fake platform, the operator in a local one; an agent sends in
 * mid-turn, a sandbox crashes by itself, the platform refuses a text and says what nobody can read, a group's file is broken for a
 * moment, a credential comes and goes, a service is asked with a token that has to be got first, requests, strangers and agents' questions wait
 * for a person or too long, a long answer is shown while it is written, a group is stopped and resumed, an agent gets more
 * authority, tasks run, an agent writes to another one, a second channel, a wiring and a self-check come and go; and, when asked
 * for, what costs seconds.
 * Every message carries a token, so that the judge can count its answers.
 */
export interface Expectation {
  token: string;
  /** `answer`: one message with this token comes back. `send`: exactly this text is sent once. `refused`: the platform refuses it. */
  kind: 'answer' | 'send' | 'refused';
}

/**
 * `safe`: the first host is there to look at only. `away`: the gateway is gone while an alert is to leave. `held`: another program
 * holds the ledger. `sweep`: as long as until the host has looked at what came of its alerts. `restart`: a planned one while a turn
 * runs, which ends for it; `deaf`: while one runs that hears of nothing.
 */
export type Extra = 'safe' | 'away' | 'held' | 'sweep' | 'restart' | 'deaf';

export interface ScenarioOptions {
  extras: readonly Extra[];
  /** Messages pushed in mid-turn to the group with the model. */
  pushed: number;
  /** 0…1, of this run's seed. */
  random: () => number;
}

/** Longer than the host waits for its ledger. */
const HELD_MS = 4000;

/** Resolves when everything has come to rest. */
export async function play(world: World, options: ScenarioOptions): Promise<Expectation[]> {
  const run = new Run(world, options);
  await run.extra('safe', async () => {
    await eventually('it is looked at', () => world.control.call('status'));
    await world.restartHost();
  });
  await run.begin();
  await run.joinTurns();
  await run.mend();
  await run.talk();
  await run.operate();
  await run.demand();
  await run.endWithExtras();
  await run.say('beta', '<b6>');
  await quiet(world);
  return run.expected;
}

class Run {
  readonly expected: Expectation[] = [];
  readonly #world: World;
  readonly #options: ScenarioOptions;

  constructor(world: World, options: ScenarioOptions) {
    this.#world = world;
    this.#options = options;
  }

  async extra(extra: Extra, act: () => Promise<unknown>): Promise<void> {
    if (this.#options.extras.includes(extra)) await act();
  }

  say(chat: string, token: string, before = '', kind: Expectation['kind'] = 'answer', after = ''): Promise<number> {
    this.expected.push({ token, kind });
    return this.#world.say(chat, `${before}${token}${after}`);
  }

  /** The first messages in each chat, and secrets. */
  async begin(): Promise<void> {
    const world = this.#world;
    await world.vault({ op: 'set', name: 'anthropic', value: 'fake-secret-value' });
    await world.setService();
    await world.apply('thinker');
    await this.say('alpha', '<a1>');
    await this.say('beta', '<b1>', 'sleep 0.5 ');
    this.expected.push({ token: '<k1>', kind: 'answer' });
    await world.say('kappa', '<k1>', 'bob');
    await this.say('delta', '<d1>');
    await world.vault({ op: 'set', name: 'extra', value: 'fake-secret-extra' });
    await world.vault({ op: 'set', name: 'extra', value: 'fake-secret-in-its-place', next: true });
    await world.vault({ op: 'promote', name: 'extra' });
    await world.vault({ op: 'rotate' });
    await this.say('alpha', '<s1>', 'send ', 'send');
    // Whether an agent has it by then or not: it is answered once.
    await world.edit('alpha', await this.say('alpha', '<e1>'), 'edited <e1>');
    await besides(world, { message: 1, broken: true });
    await this.say('gamma', '<g1>');
  }

  /** What comes while the first one sleeps joins its turn; so does what is pushed to the model. */
  async joinTurns(): Promise<void> {
    const { random, pushed } = this.#options;
    const begun = async (): Promise<void> => {
      const state = rowOf(this.#world, '<b1>')?.state ?? 'nowhere';
      if (state === 'nowhere' || state === 'queued') throw new Error(state);
    };
    await eventually('the sleeping message has begun', begun, COLD_MS);
    for (const token of ['<b2>', '<b3>', '<b4>']) await this.say('beta', token);
    await pause(random() * 300);
    await this.say('alpha', '<a2>', 'crash-once ');
    await this.say('omega', '<o1>', 'reject-me ', 'refused');
    for (let i = 0; i < pushed; i += 1) {
      await pause(random() * 150);
      await this.say('delta', `<d${i + 2}>`);
    }
  }

  /** The broken group is repaired. */
  async mend(): Promise<void> {
    const world = this.#world;
    await eventually('a start has failed', async () => {
      if ((rowOf(world, '<g1>')?.deaths ?? 0) === 0) throw new Error('not yet');
    });
    world.group('flaky', FLAKY_YAML);
    await world.apply('flaky');
    // The alert of the failed start is cleared by the good one, before the operator clears whatever is left.
    await this.say('gamma', '<g2>');
    const answered = async (): Promise<void> => {
      const state = rowOf(world, '<g2>')?.state ?? 'nowhere';
      if (state !== 'answered') throw new Error(state);
    };
    await eventually('the repaired group has answered', answered, COLD_MS);
    // Its session is live since it was pushed to. Without any there is none; a point that no run comes past is told of all the same.
    await world.serviceRequest(() => liveSession(world, 'thinker')).catch(() => {});
    await askForRequest(world, 'thinker', 'approve');
    await stopGroup(world, () => this.say('gamma', '<g3>'));
    const { sent } = await world.journal();
    for (const { id } of sent.slice(0, 3)) await besides(world, { message: id, receipt: 'delivered' });
  }

  /** The operator writes, an answer is shown while it is written, and two agents talk. */
  async talk(): Promise<void> {
    await desk(this.#world);
    // Its beginning is shown; whoever dies, the answer takes its place.
    await this.say('sigma', '<v1>', 'stream 8 ', 'answer', ` ${'and so on '.repeat(30)}`);
    // Whoever dies over it, the answer comes back once.
    this.expected.push({ token: 'probe, turn', kind: 'answer' });
    await this.#world.say('beta', 'tell agent:flaky where');
  }

  /** The operator changes this and that, and it is as it was. */
  async operate(): Promise<void> {
    for (const token of ['<t1>', '<t2>']) this.expected.push({ token, kind: 'answer' });
    await runTasks(this.#world, '<t1>', '<t2>');
    await wireSpare(this.#world);
    await spareChannel(this.#world);
    await checkItself(this.#world);
  }

  /** What waits for a person. */
  async demand(): Promise<void> {
    const world = this.#world;
    await world.approve('sender');
    this.expected.push({ token: '<q1>', kind: 'answer' });
    await answerAgent(world, '<q1>');
    this.expected.push({ token: '<k2>', kind: 'answer' });
    await letIn(world, '<k2>');
    await world.refusedRequest(() => liveSession(world)).catch(() => {});
    for (const end of ['deny', 'leave'] as const) await askForRequest(world, 'assistant', end);
    // Its sandboxes end for it, so that it comes after what needs one.
    // The agent asks for more; whoever dies over it, it hears once that it has it.
    this.expected.push({ token: 'in a new sandbox', kind: 'answer' });
    await world.say('omega', 'want {"reason":"to see","mcp":[{"name":"clock","command":["true"]}]}');
    await world.approve('authority');
    await world.vault({ op: 'remove', name: 'extra', next: true });
    await world.vault({ op: 'remove', name: 'extra' });
  }

  async endWithExtras(): Promise<void> {
    const world = this.#world;
    const running = async (token: string, before: string, chat = 'beta'): Promise<void> => {
      await this.say(chat, token, before);
      const runs = async (): Promise<void> => {
        if (rowOf(world, token)?.state !== 'running') throw new Error('not yet');
      };
      await eventually(`${token} runs`, runs, COLD_MS);
    };
    await this.extra('away', () => missGateway(world));
    await this.extra('held', async () => {
      await running('<b7>', 'sleep 1 ');
      await holdLedger(world, HELD_MS);
    });
    await this.extra('sweep', () => pause(SWEEP_MS + 1000));
    await this.extra('restart', async () => {
      await running('<b5>', 'sleep 12 ');
      await world.restartHost();
    });
    await this.extra('deaf', async () => {
      // Elsewhere: what the stop before has interrupted is still being said again there.
      await running('<v8>', 'deaf-once ', 'sigma');
      await world.restartHost();
    });
  }
}

/** Every row is at its end, and the platform has been acknowledged. */
async function quiet(world: World): Promise<void> {
  const rests = async (): Promise<void> => {
    const open = unrest(world, await world.journal());
    if (open !== null) throw new Error(open);
  };
  await eventually('quiet', rests, COLD_MS);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
