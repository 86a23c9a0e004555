import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { echoScript, type Mode, type ModelRequest } from '../fakes/model.ts';
import { anthropicReply, openaiReply } from '../fakes/model_replies.ts';
import { message, pause } from './harness_bench.ts';
import { joinAtOffsets } from './harness_joins.ts';
import { type ModelSubject, Scene } from './harness_kit.ts';
import { IS_FULL } from './long_form.ts';

/** The conformance kit of harnesses, second part: what holds for every harness that asks a model. */
export function harnessModelKit(subject: ModelSubject): void {
  describe(`the harness ${subject.name} and its model`, () => {
    takenTests(subject);
    joinTest(subject);
    conversationTests(subject);
    draftTests(subject);
    failureTests(subject);
  });
}

function takenTests(subject: ModelSubject): void {
  test('a message is not taken before a request with it leaves', async () => {
    await using scene = await Scene.of(subject);
    let release: (url: string) => void = () => {};
    const opened = await scene.open(
      null,
      new Promise((resolve) => {
        release = resolve;
      }),
    );
    let takenWhenAsked: number[] = [];
    scene.model.script = async (request) => {
      await pause(50);
      takenWhenAsked = opened.taken();
      return echoScript(request) as { text: string };
    };
    const done = opened.turn([message(1, 'hello')]);
    await pause(300);
    assert.deepEqual(opened.taken(), []);
    release(subject.url(scene.model));
    await done;
    assert.deepEqual(takenWhenAsked, [1]);
  });

  test('the effort that its group asks for reaches the model, and none where it asks for none', async () => {
    for (const effort of ['low', 'high', null] as const) {
      const model = { ...(subject.model ?? { provider: 'anthropic', name: 'claude-sonnet-5' }), effort };
      await using scene = await Scene.of({ ...subject, model });
      const opened = await scene.open();
      await opened.turn([message(1, 'hello')]);
      const [{ body }] = main(scene.model.requests) as [ModelRequest];
      const asked = JSON.parse(body) as { reasoning_effort?: string; output_config?: { effort?: string } };
      const found = asked.output_config?.effort ?? asked.reasoning_effort;
      if (effort === null) assert.notEqual(found, 'low');
      else assert.equal(found, effort);
    }
  });

  test('a message that joins while the last answer is written is left for the next turn', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    let asked: () => void = () => {};
    const whenAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    scene.model.script = async (request) => {
      asked();
      await pause(300);
      return echoScript(request) as { text: string };
    };
    const done = opened.turn([message(1, 'first')]);
    await whenAsked;
    opened.harness.join([message(2, 'later-words')]);
    assert.match((await done).text, /first/);
    assert.deepEqual(opened.taken(), [1]);
    assert.ok(main(scene.model.requests).every((request) => !request.body.includes('later-words')));
    const next = await opened.turn([message(2, 'later-words')]);
    assert.match(next.text, /later-words/);
    await pause(300);
    assert.equal(main(scene.model.requests).filter((request) => request.body.includes('later-words')).length, 1);
  });
}

/** The long form is 200 in five conversations: a longer one is put into a summary, whose request has each message once more. */
function joinTest(subject: ModelSubject): void {
  const [count, conversations] = IS_FULL ? [40, 5] : [30, 1];
  for (let number = 1; number <= conversations; number += 1)
    test(`${count} messages that join around the end of a turn are each answered once, conversation ${number}`, {
      timeout: 180_000,
    }, async (context) => {
      await using scene = await Scene.of(subject);
      const counts = await joinAtOffsets(subject, scene, count, 20_260 + number);
      context.diagnostic(JSON.stringify(counts));
      assert.ok(counts.takenByRunningTurn > 0 && counts.leftForNextTurn > 0);
    });
}

function conversationTests(subject: ModelSubject): void {
  test('runs a command, and a platform tool after it, in one turn', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    scene.model.script = (request) =>
      request.toolResults.join().includes('made-by-tool')
        ? echoScript({ ...request, toolResults: [], lastText: subject.words.send('half-way') })
        : echoScript(request);
    const done = await opened.turn([message(1, subject.shell('echo made-by-tool > file; cat file'))]);
    assert.equal(done.outcome, 'answered', done.text);
    assert.deepEqual(opened.tools.calls, [{ name: 'send_message', input: { text: 'half-way' } }]);
    assert.equal(opened.events.filter((event) => event.kind === 'tool').length, 2);
  });

  test('servers of tools are started, offered and called; the turn goes on without one that does not start', async () => {
    await using scene = await Scene.of(subject);
    const server = join(ROOT, 'test/fakes/mcp_server.ts');
    const opened = await scene.open(null, undefined, [
      { name: 'sums', command: [process.execPath, server], env: [{ name: 'GREETING', value: 'hello' }] },
      { name: 'gone', command: ['/nowhere/at/all'], env: [] },
    ]);
    const call = (id: number, a: number, b: number) =>
      opened.turn([message(id, `tool mcp__sums__add ${JSON.stringify({ a, b })}`)]);
    assert.match((await call(1, 20, 22)).text, new RegExp(`hello: 42 in ${scene.place.workspace}`));
    const again = (await call(2, 1, 2)).text;
    assert.match(again, /hello: 3 in/);
    // In a sandbox it ends with everything else.
    process.kill(Number(/pid (\d+)/.exec(again)![1]));
    if (subject.name === 'native') assert.match(scene.model.requests[0]!.body, /could not be started: gone/);
    assert.deepEqual(opened.tools.calls, [], 'nothing of it is the platform’s');
  });

  test('no_reply makes the turn silent', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    const call = subject.words.send('x').replace('send_message', 'no_reply').replace('"text"', '"reason"');
    const done = await opened.turn([message(1, call)]);
    assert.equal(done.outcome, 'silent');
    assert.equal((await opened.turn([message(2, 'hello')])).outcome, 'answered');
  });

  test('the first request is small', async (context) => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    await opened.turn([message(1, 'hello')]);
    const bytes = Buffer.byteLength(scene.model.requests[0]!.body);
    context.diagnostic(
      `first request of ${subject.name}: ${bytes} bytes; requests for hello: ${scene.model.requests.length}`,
    );
    assert.ok(bytes <= subject.requestBytesMax, `${bytes} bytes`);
    assert.equal(scene.model.requests.length, 1);
  });

  test('the transcript of a session it cannot resume, notices and earlier sends reach the model', async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open('nonsense');
    await opened.turn([message(9, 'go on')], {
      attempt: 2,
      prior: [{ ordinal: 1, text: 'already-sent', state: 'sent' }],
      notices: ['a-notice'],
      transcript: [{ role: 'person', author: 'Ann', text: 'long-ago' }],
    });
    for (const word of ['already-sent', 'a-notice', 'long-ago', 'go on'])
      assert.ok(scene.model.requests[0]!.body.includes(word), word);
  });
}

const STREAMED = 'one two three four five six seven eight nine ten';
const STREAM_PAUSE_MS = 150;

/** Answers word by word, with pauses. */
function streamed(request: ModelRequest): { raw: (response: ServerResponse) => void } {
  const reply = request.target.includes('/messages') ? anthropicReply : openaiReply;
  return {
    raw: async (response) => {
      const { type, chunks } = reply(request.json, { text: STREAMED });
      response.writeHead(200, { 'content-type': type });
      for (const chunk of chunks) {
        response.write(chunk);
        await pause(STREAM_PAUSE_MS);
      }
      response.end();
    },
  };
}

function draftTests(subject: ModelSubject): void {
  test('what there is of an answer is reported while it is written, where that is wanted', async () => {
    await using scene = await Scene.of(subject);
    scene.model.script = streamed;
    const opened = await scene.open(null, undefined, [], true);
    const done = await opened.turn([message(1, 'hello')]);
    assert.equal(done.text, STREAMED);
    const texts = opened.events.flatMap((event) => (event.kind === 'delta' ? [event.text] : []));
    assert.ok(texts.length >= 2, `${texts.length} reports`);
    assert.ok(texts[0]!.length < STREAMED.length, 'the first one is no whole answer');
    for (const [index, text] of texts.entries()) {
      assert.ok(STREAMED.startsWith(text), text);
      assert.ok(index === 0 || text.length > texts[index - 1]!.length, 'each has more than the one before');
    }
    assert.equal(opened.events.at(-1)!.kind, 'done');
  });

  test('where it is not wanted nothing is reported of an answer', async () => {
    await using scene = await Scene.of(subject);
    scene.model.script = streamed;
    const opened = await scene.open();
    assert.equal((await opened.turn([message(1, 'hello')])).text, STREAMED);
    assert.ok(opened.events.every(({ kind }) => kind !== 'delta'));
  });
}

function failureTests(subject: ModelSubject): void {
  const gateway = (status: number, reason: string) => ({
    raw: (response: ServerResponse) => {
      response.writeHead(status, { 'content-type': 'application/json', 'x-glass-refused': 'true' });
      response.end(JSON.stringify({ error: 'Refused', rule: 'r', reason, try: 'something else' }));
    },
  });
  const mode = (name: Mode) => ({ mode: name });
  const modes: [string, ReturnType<typeof gateway> | { mode: Mode }, RegExp][] = [
    ['a credential that is refused', mode('401'), /credential/],
    ['a budget that is used up', gateway(402, 'the daily budget of 5 EUR is spent'), /budget.*5 EUR/],
    ['a refusal by the gateway', gateway(403, 'secret "anthropic" is not set'), /not allowed.*"anthropic" is not set/],
    ['too many requests', mode('429'), /no more requests/],
    ['an endpoint that fails', mode('500'), /failed \(500\)/],
    ['an endpoint that cannot be reached', gateway(502, 'api.test cannot be asked'), /cannot be reached.*api\.test/],
    ['an endpoint that does not answer', gateway(504, 'api.test sent no reply in time'), /in time/],
    ['a stream that is cut', mode('cut'), /broke off/],
    ['an answer that is no HTTP', mode('garbage'), /no model answer|cannot be reached/],
  ];
  test('turns that fail between answered ones leave the conversation as it was', { timeout: 90_000 }, async () => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    for (const [id, failing] of [mode('401'), mode('402'), mode('500')].entries()) {
      const answered = await opened.turn([message(10 * id + 1, `kept-${id}`)]);
      assert.equal(answered.outcome, 'answered', answered.text);
      scene.model.script = () => failing;
      assert.equal((await opened.turn([message(10 * id + 2, `dropped-${id}`)])).outcome, 'failed');
      scene.model.script = echoScript;
    }
    assert.equal((await opened.turn([message(100, 'at last')])).outcome, 'answered');
    const last = scene.model.requests.at(-1)!.body;
    for (const id of [0, 1, 2])
      assert.ok(last.includes(`kept-${id}`) && !last.includes(`dropped-${id}`), `round ${id}`);
  });

  test('a failure is one sentence for the person, and its turn leaves no trace', {
    timeout: 180_000,
  }, async (context) => {
    // One conversation goes through all of them, and each is told apart in it by its number.
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    for (const [number, [what, script, sentence]] of modes.entries()) {
      await context.test(what, async (failure) => {
        const say = (turn: number, words: string) =>
          opened.turn([message(10 * number + turn, `${words}-${number}-words`)]);
        await say(1, 'before');
        scene.model.script = () => script;
        const began = performance.now();
        const done = await say(2, 'lost');
        failure.diagnostic(`${Math.round(performance.now() - began)} ms: ${done.text}`);
        assert.equal(done.outcome, 'failed');
        assert.match(done.text, sentence);
        assert.ok(!done.text.includes('\n') && done.text.length < 500);
        scene.model.script = echoScript;
        const next = await say(3, 'after');
        assert.equal(next.outcome, 'answered', next.text);
        const last = scene.model.requests.at(-1)!.body;
        assert.ok(last.includes(`before-${number}-`) && last.includes(`after-${number}-`) && !last.includes('lost-'));
      });
    }
  });

  test('a relay that is gone is one sentence for the person', { timeout: 90_000 }, async (context) => {
    await using scene = await Scene.of(subject);
    const opened = await scene.open();
    await scene.model.close();
    const done = await opened.turn([message(1, 'hello')]);
    context.diagnostic(done.text);
    assert.equal(done.outcome, 'failed');
    assert.match(done.text, /cannot be reached/);
  });

  test('an interrupt ends a turn whose model hangs', async () => {
    await using scene = await Scene.of(subject);
    scene.model.mode = 'hang';
    const opened = await scene.open();
    const done = opened.turn([message(1, 'hello')]);
    await opened.until((event) => event.kind === 'taken');
    const began = performance.now();
    opened.harness.interrupt();
    assert.equal((await done).outcome, 'interrupted');
    assert.ok(performance.now() - began < 1000);
  });
}

/** Requests of the conversation: those that offer tools. */
function main(requests: ModelRequest[]): ModelRequest[] {
  return requests.filter((request) => (request.json.tools ?? []).length > 0);
}
