import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { FrameModel } from '../../src/protocol/frames.ts';
import type { FakeModel } from '../fakes/model.ts';
import { Place, pause, requireHarness } from '../kits/harness_bench.ts';
import { harnessFilesKit } from '../kits/harness_files.ts';
import type { ModelSubject } from '../kits/harness_kit.ts';
import { harnessKit } from '../kits/harness_kit.ts';
import { harnessModelKit } from '../kits/harness_model_kit.ts';

await requireHarness('native');
const { createNative } = await import('../../sandbox/harnesses/native/native.ts');

const shell = (command: string): string => `tool bash ${JSON.stringify({ command })}`;

function subject(model: FrameModel, url: (model: FakeModel) => string): ModelSubject {
  return {
    name: `native (${model.provider})`,
    create: createNative,
    model,
    url,
    requestBytesMax: 10 * 1024,
    shell,
    documents: model.provider === 'anthropic',
    words: {
      send: (text) => `tool send_message ${JSON.stringify({ text })}`,
      ask: (question, options) => `tool ask ${JSON.stringify({ question, options })}`,
      busy: (seconds) => shell(`sleep ${seconds}; touch busy-ended`),
      recall: (texts) => ({ text: 'recall', expect: `[${texts.join(' ')}]` }),
    },
  };
}

const NAMES = { anthropic: 'claude-sonnet-5', openai: 'gpt-test', ollama: 'llama-test' };

for (const provider of ['anthropic', 'openai', 'ollama'] as const) {
  const model = { provider, name: NAMES[provider], effort: null };
  const under = subject(model, (fake) => (provider === 'openai' ? `${fake.origin}/v1` : fake.origin));
  harnessKit(under);
  harnessModelKit(under);
  harnessFilesKit(under);
}

const { History, trimmed } = await import('../../sandbox/harnesses/native/history.ts');
const { runCommand } = await import('../../sandbox/harnesses/native/shell.ts');

describe('the history of the harness native', () => {
  const turn = (text: string, output = '') => [
    { role: 'user' as const, content: text },
    {
      role: 'tool' as const,
      content: [
        {
          type: 'tool-result' as const,
          toolCallId: 'c',
          toolName: 'bash',
          output: { type: 'text' as const, value: output },
        },
      ],
    },
  ];

  test('loses its oldest turns, whole, when it is too large, and keeps the newest whatever its size', () => {
    const turns = Array.from({ length: 10 }, (_, index) => turn(`turn ${index}`, 'x'.repeat(60_000)));
    const [note, ...kept] = trimmed(turns);
    assert.match(JSON.stringify(note), /oldest part of this conversation was dropped/);
    assert.deepEqual(kept, turns.slice(-kept.length));
    assert.ok(kept.length >= 4 && JSON.stringify(kept).length <= 300 * 1024);
    const huge = trimmed([turn('old'), turn('new', 'x'.repeat(900_000))]);
    assert.equal(huge.length, 2, 'a note, and the newest');
    assert.ok(JSON.stringify(huge).includes('dropped to save room'));
  });

  test('keeps the last three points, and no more', () => {
    using place = new Place();
    const history = new History(place.state);
    history.open(null);
    const points = ['a', 'b', 'c', 'd'].map((text) => history.add([{ role: 'user', content: text }]));
    const known = points.map((point) => new History(place.state).open(point));
    assert.deepEqual(known, [false, true, true, true]);
  });

  test('a file that is no history is as good as none', () => {
    using place = new Place();
    const history = new History(place.state);
    history.open(null);
    const point = history.add([{ role: 'user', content: 'a' }]);
    writeFileSync(join(place.state, 'native/1.json'), '[[{"role":"nobody"}]]');
    assert.equal(new History(place.state).open(point), false);
  });
});

describe('the shell of the harness native', () => {
  const options = (seconds: number) => ({ cwd: '/tmp', seconds, signal: new AbortController().signal });

  test('keeps the beginning and the end of a long output', async () => {
    const { text } = await runCommand('echo first; seq 1 100000; echo last', options(10));
    assert.match(text, /^first\n/);
    assert.match(text, /bytes left out/);
    assert.match(text, /last\n$/);
    assert.ok(text.length < 20_000);
  });

  test('ends a command at its time limit, and what a command leaves in the background', async () => {
    const began = performance.now();
    const late = await runCommand('sleep 20', options(1));
    assert.deepEqual(late, { ok: false, text: '[stopped after 1 s]' });
    const background = await runCommand('sleep 21 & echo $!', options(10));
    assert.ok(performance.now() - began < 5000);
    await pause(100);
    assert.ok(!runs(Number(background.text.trim())));
  });

  test('says how a command failed', async () => {
    assert.deepEqual(await runCommand('echo bad >&2; exit 3', options(10)), {
      ok: false,
      text: 'bad\n\n[exit code 3]',
    });
  });
});

/** A killed process that nobody has waited for yet does not run any more. */
function runs(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
