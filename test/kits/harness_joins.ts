import assert from 'node:assert/strict';
import type { ModelRequest } from '../fakes/model.ts';
import { message, type Opened, pause } from './harness_bench.ts';
import type { ModelSubject, Scene } from './harness_kit.ts';
import { kitScript } from './harness_script.ts';

/**
 * Hands messages over at many moments of a turn, most of them near its end, as the host would: what a turn has not taken is
 * given to the next one. Each message must enter the conversation once, in a request of the turn that reports it.
 */
export interface JoinCounts {
  joined: number;
  takenByRunningTurn: number;
  leftForNextTurn: number;
}

export async function joinAtOffsets(
  subject: ModelSubject,
  scene: Scene,
  count: number,
  seed: number,
): Promise<JoinCounts> {
  const random = seeded(seed);
  const seen: { turn: number; request: ModelRequest }[] = [];
  let turn = 0;
  scene.model.script = async (request) => {
    seen.push({ turn, request });
    await pause(random() * 30);
    return kitScript(request) as { text: string };
  };
  const opened = await scene.open();
  const settledBy = new Map<number, number>();
  const run = async (ids: number[], join: number | null, offset: number): Promise<number> => {
    turn += 1;
    const began = performance.now();
    const done = opened.turn(ids.map((id) => message(id, textOf(subject, id))));
    const joined = join === null ? undefined : joinLater(opened, done, message(join, textOf(subject, join)), offset);
    const ended = await done;
    assert.equal(ended.outcome, 'answered', ended.text);
    const ms = performance.now() - began;
    for (const id of opened.taken()) {
      assert.ok(!settledBy.has(id), `message ${id} was settled by turns ${settledBy.get(id)} and ${turn}`);
      settledBy.set(id, turn);
    }
    await joined;
    return ms;
  };

  await run([1], null, 0);
  let usual = await run([2], null, 0);
  const counts = { joined: 0, takenByRunningTurn: 0, leftForNextTurn: 0 };
  for (let i = 0; i < count; i += 1) {
    const id = 3 + 2 * i;
    usual = 0.8 * usual + 0.2 * (await run([id], id + 1, usual * (0.3 + random())));
    counts.joined += 1;
    if (settledBy.has(id + 1)) counts.takenByRunningTurn += 1;
    else {
      counts.leftForNextTurn += 1;
      await run([id + 1], null, 0);
    }
  }
  await pause(500);
  for (let id = 1; id < 3 + 2 * count; id += 1) {
    const turns = seen.filter(({ request }) => isNew(request, id)).map((entry) => entry.turn);
    assert.deepEqual(
      turns,
      [settledBy.get(id)],
      `turns whose requests brought message ${id}, and the turn that settled it`,
    );
  }
  assert.equal(seen.at(-1)!.turn, turn);
  assert.ok(
    opened.events.every((event) => event.turn > 0),
    'something was reported between turns',
  );
  return counts;
}

/** Every second message is answered at once, the others after a tool, with which another may join. */
function textOf(subject: ModelSubject, id: number): string {
  return id % 4 === 1 ? `word-${id}-end` : subject.shell(`echo word-${id}-end; sleep 0.03`);
}

/** Joins at the offset if the turn still runs then, as the host does. */
async function joinLater(
  opened: Opened,
  done: Promise<unknown>,
  joining: Parameters<Opened['harness']['join']>[0][number],
  offset_ms: number,
): Promise<void> {
  let running = true;
  const ended = done.then(() => {
    running = false;
  });
  await Promise.race([pause(offset_ms), ended]);
  if (running) opened.harness.join([joining]);
}

/** The message stands behind the last thing that the model said, in the words of the person. */
function isNew(request: ModelRequest, id: number): boolean {
  const messages: { role: string; content: unknown }[] = request.json.messages ?? [];
  const since = messages.slice(messages.findLastIndex(({ role }) => role === 'assistant') + 1);
  return since.some(({ role, content }) => {
    if (role === 'tool') return false;
    const parts = Array.isArray(content) ? content.filter(({ type }) => type === 'text') : [{ text: content }];
    return parts.some(({ text }) => String(text).includes(`word-${id}-end`));
  });
}

/** The same numbers in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
