import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { HarnessEvent } from '../../sandbox/runner/harness.ts';
import type { FrameMcp, FrameModel } from '../../src/protocol/frames.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { type Create, message, Opened, Place, pause } from './harness_bench.ts';
import { kitScript } from './harness_script.ts';

/**
 * The conformance kit of harnesses, first part: what holds for every harness, with a model or without.
 *
 * A subject says how a person's message makes it do something. For a harness with a model these are words that the
 * scripted model understands; for `probe` they are its own.
 */
export interface Subject {
  name: string;
  create: Create;
  model?: FrameModel;
  /** Where the model route of an endpoint begins, for this provider. */
  url: (model: FakeModel) => string;
  /** Text of a message that … */
  words: {
    /** … calls the platform's `send_message` with this text. */
    send: (text: string) => string;
    /** … calls the platform's `ask` with this question and these options. */
    ask: (question: string, options: string[]) => string;
    /** … keeps the turn busy with a tool for so long. */
    busy: (seconds: number) => string;
    /** … is answered with a text that has `expect` in it if the harness remembers `texts`. */
    recall: (texts: string[]) => { text: string; expect: string };
  };
}

/** A harness that has a model. */
export interface ModelSubject extends Subject {
  /** Bytes of the first request for "hello". */
  requestBytesMax: number;
  /** Text of a message that makes it run a shell command. */
  shell: (command: string) => string;
  /** Whether its API is shown a PDF as it is. */
  documents: boolean;
}

/** A session, a scripted model, and instances of the subject on both. */
export class Scene {
  readonly place = new Place();
  readonly model: FakeModel;
  readonly #subject: Subject;

  private constructor(subject: Subject, model: FakeModel) {
    this.#subject = subject;
    this.model = model;
  }

  static async of(subject: Subject): Promise<Scene> {
    return new Scene(subject, await startModel({ script: kitScript }));
  }

  /** `drafts`: it is to report what there is of an answer. */
  open(
    resume: string | null = null,
    modelUrl?: string | Promise<string>,
    mcp: FrameMcp[] = [],
    drafts = false,
  ): Promise<Opened> {
    const { create, model, url } = this.#subject;
    const options = { create, place: this.place, resume, mcp, drafts, modelUrl: modelUrl ?? url(this.model) };
    return Opened.open(model === undefined ? options : { ...options, model });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.model.close();
    this.place[Symbol.dispose]();
  }
}

export function harnessKit(subject: Subject): void {
  const { words } = subject;

  describe(`the harness ${subject.name}`, () => {
    test('answers a message: it is taken once, then the turn is done once, with a resume point', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      const done = await opened.turn([message(1, 'hello')]);
      assert.equal(done.outcome, 'answered', done.text);
      assert.match(done.text, /hello/);
      assert.deepEqual(kinds(opened), ['taken', 'done']);
      assert.deepEqual(opened.taken(), [1]);
      assert.equal(typeof done.resume, 'string');
    });

    test('takes several messages of one turn, and answers several turns', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      await opened.turn([message(1, 'one'), message(2, 'two')]);
      assert.deepEqual(opened.taken().sort(), [1, 2]);
      const done = await opened.turn([message(3, 'three')]);
      assert.match(done.text, /three/);
      assert.deepEqual(opened.taken(), [3]);
    });

    test('calls a platform tool and reports it', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      const done = await opened.turn([message(1, words.send('on my way'))]);
      assert.deepEqual(opened.tools.calls, [{ name: 'send_message', input: { text: 'on my way' } }]);
      assert.equal(done.outcome, 'answered', done.text);
      const tools = opened.events.flatMap((event) => (event.kind === 'tool' ? [event] : []));
      assert.equal(tools.length, 1);
      assert.equal(tools[0]!.tool, 'send_message');
      assert.equal(tools[0]!.ok, true);
    });

    test('a question is answered after a while, and the turn goes on with the answer', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      const asked = Promise.withResolvers<void>();
      opened.tools.onAsk = async () => {
        asked.resolve();
        await pause(1000);
        return { ok: true, value: { answer: 'the blue one', by: 'Ann', option: 2 } };
      };
      const done = opened.turn([message(1, words.ask('Which one?', ['red', 'the blue one']))]);
      await asked.promise;
      assert.deepEqual(opened.tools.calls, [
        { name: 'ask', input: { question: 'Which one?', options: ['red', 'the blue one'] } },
      ]);
      assert.equal((await done).outcome, 'answered', (await done).text);
      assert.match((await done).text, /"answer":"the blue one","by":"Ann"/);
    });

    test('an interrupt does not wait for a person who has not answered', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      const asked = Promise.withResolvers<void>();
      opened.tools.onAsk = () => {
        asked.resolve();
        return new Promise(() => {});
      };
      const done = opened.turn([message(1, words.ask('Which one?', ['red', 'blue']))]);
      await asked.promise;
      opened.harness.interrupt();
      assert.equal((await done).outcome, 'interrupted');
      const next = await opened.turn([message(2, 'and now')]);
      assert.equal(next.outcome, 'answered', next.text);
      assert.match(next.text, /and now/);
    });

    test('a message that joins a running turn is taken by it', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      if (!opened.harness.steer) return;
      const done = opened.turn([message(1, words.busy(0.6))]);
      await opened.until((event) => event.kind === 'taken');
      await pause(200);
      opened.harness.join([message(2, 'and the second thing')]);
      assert.equal((await done).outcome, 'answered');
      assert.deepEqual(opened.taken(), [1, 2]);
      const shown = [(await done).text, ...scene.model.requests.map((request) => request.body)];
      assert.ok(shown.some((text) => text.includes('and the second thing')));
    });

    test('an interrupt ends the turn within a second, with what its tools started', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      const done = opened.turn([message(1, words.busy(2))]);
      await opened.until((event) => event.kind === 'taken');
      await pause(400);
      const began = performance.now();
      opened.harness.interrupt();
      assert.equal((await done).outcome, 'interrupted');
      const ms = performance.now() - began;
      assert.ok(ms < 1000, `${ms} ms`);
      const next = await opened.turn([message(2, 'and now')]);
      assert.equal(next.outcome, 'answered', next.text);
      assert.match(next.text, /and now/);
      await pause(2000);
      assert.ok(!existsSync(join(scene.place.workspace, 'busy-ended')), 'the tool went on');
    });

    test('a new instance goes on from the resume point', async () => {
      await using scene = await Scene.of(subject);
      const first = await scene.open();
      await first.turn([message(1, 'alpha')]);
      const { resume } = await first.turn([message(2, 'beta')]);
      const second = await scene.open(resume);
      assert.equal(second.resumed, true);
      const { text, expect } = words.recall(['alpha', 'beta']);
      const done = await second.turn([message(3, text)]);
      assert.ok(done.text.includes(expect), `${expect} in: ${done.text}`);
      assert.notEqual(done.resume, resume);
    });

    test('resumed at an older point, it does not know the turn that was never settled', async () => {
      await using scene = await Scene.of(subject);
      const first = await scene.open();
      const { resume } = await first.turn([message(1, 'alpha')]);
      await first.turn([message(2, 'beta')]);
      const second = await scene.open(resume);
      assert.equal(second.resumed, true);
      const { text, expect } = words.recall(['alpha']);
      const done = await second.turn([message(2, text)]);
      assert.ok(done.text.includes(expect), `${expect} in: ${done.text}`);
      const third = await scene.open(done.resume);
      assert.equal(third.resumed, true);
    });

    test('an unknown resume point begins anew and says so', async () => {
      await using scene = await Scene.of(subject);
      for (const resume of [
        'nonsense',
        'native:99',
        '{"session":"00000000-0000-4000-8000-000000000000","message":"x"}',
      ]) {
        const opened = await scene.open(resume);
        assert.equal(opened.resumed, false);
        assert.equal((await opened.turn([message(1, 'hello')])).outcome, 'answered');
      }
    });
  });
}

function kinds(opened: Opened): HarnessEvent['kind'][] {
  return opened.events.map((event) => event.kind);
}
