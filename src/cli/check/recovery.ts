import { setTimeout as sleep } from 'node:timers/promises';
import { seconds } from '../../evidence/check/document.ts';
import type { Claim } from '../../evidence/check/report.ts';
import { Chat, word } from './chat.ts';
import type { Found } from './experiments.ts';
import { hasEnded, maySignal, type PartName, pidOf, type Supervisor } from './processes.ts';
import type { Scene } from './scene.ts';

/** Sandbox, gateway and host die by SIGKILL, one by one, while messages run: each comes back by itself, and nothing is lost or said twice. */
type Victim = 'sandbox' | PartName;

/** More than a kernel takes to end a process. */
const ENDED_MS = 5000;
const ENDED_LOOK_MS = 5;

export const UNSUPERVISED =
  'nobody starts gateway and host again: they were started one by one, not by glass up nor as a service';

export async function recovery(scene: Scene, supervisor: Supervisor | null): Promise<Found> {
  const claims: Claim[] = [];
  for (const victim of ['sandbox', 'gateway', 'host'] as const) {
    const what = `The ${victim} is killed while messages run`;
    if (victim !== 'sandbox' && supervisor === null)
      claims.push(await scene.claim(what, async () => ({ state: 'not tested', seen: UNSUPERVISED })));
    else claims.push(...(await killed(scene, victim, what)));
  }
  return { claims, guards: [] };
}

async function killed(scene: Scene, victim: Victim, what: string): Promise<Claim[]> {
  const chat = await Chat.open(scene, `kill-${victim}`).catch(() => null);
  if (chat === null) return [await scene.claim(what, async () => ({ state: 'failed', seen: 'the host is not there' }))];
  const words = [word(), word(), word()];
  const messages: string[] = [];
  let began = 0;
  let isBack = false;
  const back = await scene.claim(`${what}: it comes back by itself`, async () => {
    messages.push(...(await atWork(scene, chat, words)));
    const pid = await pidOfVictim(scene, victim, messages[0]!);
    if (!maySignal(pid)) return { state: 'not tested', seen: `this account may not end process ${pid}: use sudo` };
    began = performance.now();
    process.kill(pid, 'SIGKILL');
    // What is said while it is away waits for it; what it could still take it might answer, and nothing need come back.
    await ended(pid);
    const [next, late] = await Promise.all([
      scene.until(`another ${victim} than process ${pid}`, () => isReady(scene, victim, pid, messages[0]!)),
      chat.say(words[2]!),
    ]);
    messages.push(late);
    isBack = true;
    return { ms: performance.now() - began, evidence: [`process ${pid}, then ${next}`] };
  });
  const answered = await scene.claim(`${what}: every message is answered exactly once`, async () => {
    if (!isBack) return { state: back.state, seen: back.seen };
    await chat.hearsOnce(words);
    const ms = performance.now() - began;
    const turns = await Promise.all(messages.map((message) => turnOf(chat, message)));
    return {
      ms,
      seen: `${messages.length} messages, each heard once, ${seconds(ms)} after the kill`,
      evidence: [...messages, ...new Set(turns)],
    };
  });
  return [back, answered];
}

/** A message whose turn runs, with its agent at work on it, and one that joins it. */
async function atWork(scene: Scene, chat: Chat, words: string[]): Promise<string[]> {
  const first = await chat.say(`sleep 2 ${words[0]}`);
  const turn = await scene.until('its turn begins', async () => (await scene.trace(first)).handled[0]?.turn ?? null);
  await scene.event('its agent is at work', (event) => event.kind === 'turn.taken' && event.turn === turn);
  return [first, await chat.say(words[1]!)];
}

/** A process that is killed goes on until its processor hears of it. */
async function ended(pid: number): Promise<void> {
  const end = performance.now() + ENDED_MS;
  while (!hasEnded(pid) && performance.now() < end) await sleep(ENDED_LOOK_MS);
}

async function pidOfVictim(scene: Scene, victim: Victim, message: string): Promise<number> {
  const pid = victim === 'sandbox' ? await pidOfSandbox(scene, message) : pidOf(scene.paths, victim);
  if (pid === null) throw new Error(`no ${victim} is running`);
  return pid;
}

async function pidOfSandbox(scene: Scene, message: string): Promise<number | null> {
  const { handled } = await scene.trace(message);
  const { sessions } = await scene.status();
  return sessions.find(({ session }) => session === handled[0]?.session)?.pid ?? null;
}

/** The process that has taken its place, once all of it works again. */
async function isReady(scene: Scene, victim: Victim, before: number, message: string): Promise<number | null> {
  const { gateway } = await scene.status();
  const now = victim === 'sandbox' ? await pidOfSandbox(scene, message) : pidOf(scene.paths, victim);
  return gateway === 'connected' && now !== before ? now : null;
}

/** The turn that settled it; rejects when it was handled more than once, or otherwise than by an answer. */
async function turnOf(chat: Chat, message: string): Promise<string> {
  const { handled, steps } = await chat.answered(message);
  const [{ state, turn } = { state: 'lost', turn: null }, ...more] = handled;
  if (state !== 'answered' || turn === null || more.length > 0) throw new Error(`${message} is ${state}`);
  const settled = steps.filter((step) => step.kind === 'turn.settled' && step.turn === turn).length;
  if (settled !== 1) throw new Error(`the turn of ${message} was settled ${settled} times`);
  return turn;
}
