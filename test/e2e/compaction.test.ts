import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Trace } from '../../src/evidence/trace.ts';
import { until } from '../fakes/install.ts';
import type { ModelRequest, Script } from '../fakes/model.ts';
import { echoScript } from '../fakes/model.ts';
import { modelInstall } from '../fakes/model_install.ts';
import { rows, sessionOf, Terminal } from '../fakes/terminal.ts';
import { message, type Opened, requireHarness } from '../kits/harness_bench.ts';
import { Scene, type Subject } from '../kits/harness_kit.ts';

/** A long conversation goes on from a summary: the harness alone, then with gateway, host and bubblewrap as they ship. */

await requireHarness('native');
await requireHarness('claude');
const { createClaude } = await import('../../sandbox/harnesses/claude/claude.ts');
const { createNative } = await import('../../sandbox/harnesses/native/native.ts');
const { History, trimmed } = await import('../../sandbox/harnesses/native/history.ts');

const subject: Subject = {
  name: 'native',
  create: createNative,
  model: { provider: 'anthropic', name: 'claude-sonnet-5', effort: null },
  url: (model) => model.origin,
  words: { send: String, ask: String, busy: String, recall: () => ({ text: '', expect: '' }) },
};

const claude: Subject = {
  ...subject,
  name: 'claude',
  create: (options) => createClaude(options, 1000), // so that the processes of past tests are gone
};

const isSummary = (request: ModelRequest): boolean => request.lastText.endsWith('Summarise this conversation.');
const sum = (summary: Awaited<ReturnType<Script>>, otherwise: Script = () => ({ text: 'fine' })): Script => {
  return (request) => (isSummary(request) ? summary : otherwise(request));
};
const LONG = 'x'.repeat(90_000);

/** Three turns that are too much together. Returns the resume point of each. */
async function longTalk(scene: Scene, opened: Opened): Promise<(string | null)[]> {
  scene.model.script = sum({ text: 'a-summary of it' });
  const points: (string | null)[] = [];
  for (const [id, word] of ['first', 'second', 'third'].entries())
    points.push((await opened.turn([message(id + 1, `${word}-word ${LONG}`)])).resume);
  assert.ok(!scene.model.requests.some(isSummary), 'there was room');
  return points;
}

const last = (scene: Scene): string => scene.model.requests.at(-1)!.body;
const compactions = (opened: Opened) => opened.events.flatMap((event) => (event.kind === 'compacted' ? [event] : []));

describe('a long conversation of the harness native', () => {
  test('goes on from a summary and what was said last; each resume point leads to what it led to', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    const points = await longTalk(scene, opened);
    const done = await opened.turn([message(4, 'fourth-word')]);
    assert.equal(done.outcome, 'answered', done.text);
    assert.deepEqual(opened.taken(), [4], 'the summary takes no message');
    const asked = scene.model.requests.filter(isSummary);
    assert.equal(asked.length, 1);
    assert.equal(asked[0]!.json.tools, undefined);
    for (const word of ['first-word', 'second-word']) assert.ok(asked[0]!.body.includes(word), word);
    assert.ok(!asked[0]!.body.includes('third-word') && !asked[0]!.body.includes('fourth-word'));
    for (const word of ['a-summary of it', 'third-word', 'fourth-word']) assert.ok(last(scene).includes(word), word);
    assert.ok(!last(scene).includes('first-word') && !last(scene).includes('second-word'));
    const [event] = compactions(opened);
    assert.equal(event!.summary, 'a-summary of it');
    assert.ok(event!.before > 250_000 && event!.after < 100_000, JSON.stringify(event));
    // The turn was answered here and perhaps never settled: the point before it is whole.
    const before = await scene.open(points[2]!);
    assert.ok(before.resumed);
    scene.model.script = sum({ mode: '500' });
    await before.turn([message(4, 'fourth-word')]);
    for (const word of ['first-word', 'second-word', 'third-word']) assert.ok(last(scene).includes(word), word);
  });

  test('resumes from the summary', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    await longTalk(scene, opened);
    const { resume } = await opened.turn([message(4, 'fourth-word')]);
    const again = await scene.open(resume);
    assert.ok(again.resumed);
    await again.turn([message(5, 'fifth-word')]);
    for (const word of ['a-summary of it', 'third-word', 'fourth-word']) assert.ok(last(scene).includes(word), word);
    assert.ok(!last(scene).includes('first-word'));
    assert.equal(scene.model.requests.filter(isSummary).length, 1);
  });

  for (const [what, answer] of [
    ['fails', { mode: '500' }],
    ['is refused', { mode: '402' }],
    ['is cut', { mode: 'cut' }],
    ['is empty', { text: ' ' }],
  ] as const)
    test(`a summary that ${what} changes nothing, and is tried again with the next turn`, async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      await longTalk(scene, opened);
      scene.model.script = sum(answer);
      const done = await opened.turn([message(4, 'fourth-word')]);
      assert.equal(done.outcome, 'answered', done.text);
      for (const word of ['first-word', 'third-word', 'fourth-word']) assert.ok(last(scene).includes(word), word);
      assert.deepEqual(compactions(opened), []);
      const reports = opened.events.flatMap((event) => (event.kind === 'tool' ? [[event.tool, event.ok]] : []));
      assert.deepEqual(reports, [['compact', false]]);
      scene.model.script = sum({ text: 'a-summary at last' });
      await opened.turn([message(5, 'fifth-word')]);
      assert.ok(last(scene).includes('a-summary at last') && !last(scene).includes('first-word'));
    });

  test('a turn that fails after the summary leaves the conversation as it was', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    await longTalk(scene, opened);
    scene.model.script = sum({ text: 'a-summary of it' }, () => ({ mode: '500' }));
    assert.equal((await opened.turn([message(4, 'lost-word')])).outcome, 'failed');
    scene.model.script = sum({ mode: '500' });
    await opened.turn([message(5, 'fifth-word')]);
    assert.ok(last(scene).includes('first-word') && !last(scene).includes('a-summary of it'));
  });

  test('an interrupt does not wait for a summary, and the conversation stays', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    await longTalk(scene, opened);
    const asked = Promise.withResolvers<void>();
    scene.model.script = sum({ text: '' }, () => ({ text: 'fine' }));
    const script = scene.model.script;
    scene.model.script = (request) => {
      if (!isSummary(request)) return script(request);
      asked.resolve();
      return { mode: 'hang' };
    };
    const done = opened.turn([message(4, 'fourth-word')]);
    await asked.promise;
    opened.harness.interrupt();
    assert.equal((await done).outcome, 'interrupted');
    assert.ok(!opened.events.some(({ kind }) => kind === 'tool'), 'nothing has failed');
    scene.model.script = sum({ mode: '500' });
    await opened.turn([message(5, 'fifth-word')]);
    assert.ok(last(scene).includes('first-word'));
  });

  test('a model that counts many tokens is not sent them again', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    scene.model.script = sum({ text: 'a-summary of it' }, () => ({
      text: 'fine',
      usage: { input: 99_000, output: 5 },
    }));
    await opened.turn([message(1, 'first-word')]);
    await opened.turn([message(2, `second-word ${LONG}`)]);
    await opened.turn([message(3, 'third-word')]);
    assert.ok(!scene.model.requests.some(isSummary), 'just below');
    scene.model.script = sum({ text: 'a-summary of it' }, () => ({
      text: 'fine',
      usage: { input: 100_000, output: 5 },
    }));
    await opened.turn([message(4, 'fourth-word')]);
    await opened.turn([message(5, 'fifth-word')]);
    assert.equal(scene.model.requests.filter(isSummary).length, 1);
    assert.ok(last(scene).includes('a-summary of it') && last(scene).includes('fourth-word'));
  });

  test('where it is asked for, everything but the last turn is put into it; nothing is asked about nothing', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    scene.model.script = sum({ text: 'a-summary of it' });
    await opened.turn([message(1, 'first-word')], { compact: true });
    await opened.turn([message(2, 'second-word')], { compact: true });
    assert.ok(!scene.model.requests.some(isSummary));
    await opened.turn([message(3, 'third-word')], { compact: true });
    assert.equal(scene.model.requests.filter(isSummary).length, 1);
    assert.ok(last(scene).includes('second-word') && !last(scene).includes('first-word'));
  });

  test('without a summary the oldest turns are dropped with a note; a summary that is there stays', () => {
    const turns = Array.from({ length: 10 }, (_, index) => [
      { role: 'user' as const, content: `turn ${index} ${'x'.repeat(60_000)}` },
    ]);
    const [note, ...kept] = trimmed(turns);
    assert.match(JSON.stringify(note), /oldest part of this conversation was dropped/);
    assert.deepEqual(kept, turns.slice(-kept.length));
    assert.equal(
      trimmed([...trimmed(turns), ...turns]).filter((turn) => /was dropped/.test(JSON.stringify(turn))).length,
      1,
    );
    const history = new History('/nowhere');
    history.restore(turns);
    history.compact(history.older(0, false), 'what happened');
    const large = [{ role: 'user' as const, content: 'x'.repeat(250_000) }];
    const alone = new History('/nowhere');
    alone.restore([history.turns[0]!, large]);
    assert.deepEqual(alone.older(0, false), [], 'a summary of a summary gains nothing');
    const again = trimmed([...history.turns, ...turns]);
    assert.match(JSON.stringify(again[0]), /what happened/);
    assert.match(JSON.stringify(again[1]), /oldest part/);
    assert.ok(JSON.stringify(again).length < 310 * 1024);
  });
});

/** What the SDK asks for a summary. */
const asksClaude = (request: ModelRequest): boolean => request.lastText.startsWith('CRITICAL: Respond with TEXT ONLY');
const sumClaude = (summary: Awaited<ReturnType<Script>>, usage = { input: 20, output: 5 }): Script => {
  return (request) => (asksClaude(request) ? summary : { text: `echo: ${request.lastText}`, usage });
};
const SUMMARY = { text: '<analysis>thinking</analysis><summary>a-summary of it</summary>' };

describe('a long conversation of the harness claude', () => {
  test('where it is asked for, it goes on from a summary; the point before leads to the whole', async () => {
    await using scene = await Scene.of(claude);
    const opened = await scene.open();
    scene.model.script = sumClaude(SUMMARY);
    await opened.turn([message(1, 'first-word')]);
    const before = await opened.turn([message(2, 'second-word')]);
    const done = await opened.turn([message(3, 'third-word')], { compact: true });
    assert.equal(done.outcome, 'answered', done.text);
    assert.match(done.text, /third-word/);
    assert.deepEqual(opened.taken(), [3]);
    const [event, ...more] = compactions(opened);
    assert.deepEqual([event?.unit, event?.summary, more.length], ['tokens', 'a-summary of it', 0]);
    assert.ok(last(scene).includes('a-summary of it') && !last(scene).includes('first-word'));
    const resumed = await scene.open(done.resume);
    await resumed.turn([message(4, 'fourth-word')]);
    for (const word of ['a-summary of it', 'third-word', 'fourth-word']) assert.ok(last(scene).includes(word), word);
    assert.ok(!last(scene).includes('first-word'));
    // As if the turn had never been settled.
    const older = await scene.open(before.resume);
    assert.ok(older.resumed);
    await older.turn([message(3, 'third-word')]);
    assert.ok(last(scene).includes('first-word') && !last(scene).includes('a-summary of it'));
  });

  test('a summary that fails changes nothing', async () => {
    await using scene = await Scene.of(claude);
    const opened = await scene.open();
    scene.model.script = sumClaude({ mode: '402' });
    await opened.turn([message(1, 'first-word')]);
    await opened.turn([message(2, 'second-word')]);
    const done = await opened.turn([message(3, 'third-word')], { compact: true });
    assert.equal(done.outcome, 'answered', done.text);
    assert.deepEqual(compactions(opened), []);
    for (const word of ['first-word', 'second-word', 'third-word']) assert.ok(last(scene).includes(word), word);
  });

  test('what the SDK puts into a summary by itself is reported', async () => {
    await using scene = await Scene.of(claude);
    const opened = await scene.open();
    scene.model.script = sumClaude(SUMMARY, { input: 990_000, output: 5 });
    await opened.turn([message(1, 'first-word')]);
    await opened.turn([message(2, 'second-word')]);
    const done = await opened.turn([message(3, 'third-word')]);
    assert.equal(done.outcome, 'answered', done.text);
    assert.equal(compactions(opened)[0]?.summary, 'a-summary of it');
    assert.ok(compactions(opened)[0]!.before > 900_000);
  });
});

const made = modelInstall();
const { install } = made;

test('/compact: the next turn begins with a summary, which trace, transcript and a new beginning have', async () => {
  await install.change('assistant', made.yaml('native'));
  made.model.script = sum({ text: 'they-spoke-of-plans' }, echoScript);
  const chat = await Terminal.open(install.control, 'talk');
  for (const word of ['one-word', 'two-word', 'three-word']) {
    await chat.say(word);
    await chat.hears(new RegExp(`echo: [\\s\\S]*${word}`));
  }
  await chat.say('/compact');
  await chat.hears(/^Your next message is answered from a summary/);
  const id = await chat.say('four-word');
  await chat.hears(/echo: [\s\S]*four-word/);
  const trace = await install.control.call<Trace>('trace', { message: id });
  const step = trace.steps.find(({ kind }) => kind === 'session.compacted');
  assert.deepEqual([step?.where, step?.data['unit'], step?.data['summary_bytes']], ['sandbox', 'bytes', 19]);
  assert.equal(step?.data['summary'], '[Summary of what was said before]\nthey-spoke-of-plans');
  assert.match(install.glass('trace', id).stdout, /session\.compacted .*before=\d+ {2}after=\d+.*they-spoke-of-plans/);
  const request = made.model.requests.at(-1)!.body;
  assert.ok(request.includes('they-spoke-of-plans') && request.includes('three-word') && !request.includes('one-word'));
  // Its state is lost: the ledger's transcript has the summary too.
  const session = sessionOf(install, 'talk');
  await install.end('host', 'SIGTERM');
  rmSync(join(install.paths.session(session).state, 'native'), { recursive: true });
  install.spawn('host');
  await install.ready();
  await chat.open();
  await chat.say('five-word');
  await until('it is answered', async () => assert.ok(made.model.requests.at(-1)!.body.includes('five-word')));
  const reseeded = made.model.requests.at(-1)!.body;
  assert.ok(reseeded.includes('they-spoke-of-plans') && reseeded.includes('one-word'));
  assert.deepEqual(rows(install, 'SELECT id FROM sessions WHERE compact = 1'), []);
});
