import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as limits from '../../src/base/limits/messages.ts';
import { type HostFrame, parseHostFrame, parseRunnerFrame, type RunnerFrame } from '../../src/protocol/frames.ts';
import { randomBytes, randomOf } from '../fakes/random.ts';

type Parse = (bytes: Buffer) => { ok: boolean; reason?: string };

const parse = (check: Parse, frame: unknown) => check(Buffer.from(JSON.stringify(frame)));

const FILE = { path: '/inbox/m1/a.png', type: 'image/png', bytes: 1, lost: false };
const MESSAGE = { id: 1, from: 'Alice', text: 'hello', sent_ms: 0, files: [FILE] };
const HASH = 'f'.repeat(64);

const RUNNER: { [K in RunnerFrame['t']]: Extract<RunnerFrame, { t: K }> } = {
  hello: { t: 'hello', v: 1 },
  ready: { t: 'ready', steer: true, resumed: false },
  taken: { t: 'taken', turn: 1, ids: [1, 2] },
  call: { t: 'call', call: 1, turn: 1, tool: 'send_message', input: { text: 'x' } },
  tool: { t: 'tool', turn: 1, tool: 'shell', ok: true, ms: 0, summary: '' },
  compacted: { t: 'compacted', turn: 1, before: 2, after: 1, unit: 'bytes', summary: '' },
  delta: { t: 'delta', turn: 1, text: '' },
  file: { t: 'file', call: 1, turn: 1, name: 'a.txt', bytes: 0, sha256: HASH },
  chunk: { t: 'chunk', call: 1, seq: 0, data: 'QQ==' },
  done: { t: 'done', turn: 1, outcome: 'answered', text: '', resume: null },
};

const HOST: { [K in HostFrame['t']]: Extract<HostFrame, { t: K }> } = {
  welcome: {
    t: 'welcome',
    mcp: [],
    v: 1,
    session: 's1',
    group: 'assistant',
    harness: 'probe',
    model: { provider: 'anthropic', name: 'm', effort: null },
    tools: [],
    resume: null,
    instructions: '',
    drafts: true,
  },
  turn: {
    t: 'turn',
    turn: 1,
    attempt: 1,
    messages: [MESSAGE],
    prior: [{ ordinal: 0, text: '', state: 'sent' }],
    notices: [''],
    gate: null,
    compact: false,
    transcript: [{ role: 'person', author: '', text: '' }],
  },
  steer: { t: 'steer', turn: 1, messages: [MESSAGE] },
  interrupt: { t: 'interrupt', turn: 1 },
  receipt: { t: 'receipt', call: 1, ok: true, value: null },
};

/** Values that no field of any frame accepts, whatever its type, but those that are any JSON. */
const NEVER = [undefined, [[]], { a: 1 }, -1, 1.5, 1e300, '\u0000'.repeat(limits.OUTBOUND_TEXT_BYTES_MAX + 1)];
const FREE = new Set(['input', 'value']);

for (const [side, check, frames] of [
  ['runner', parseRunnerFrame, RUNNER],
  ['host', parseHostFrame, HOST],
] as const) {
  for (const [kind, frame] of Object.entries(frames)) {
    test(`${side} frame ${kind}: passes as it is, and with nothing else`, () => {
      assert.deepEqual(parse(check, frame), { ok: true, frame });
      const unknown = parse(check, { ...frame, more: 1 });
      assert.equal(unknown.ok, false);
      assert.match(unknown.reason!, new RegExp(`^frame ${kind} ?has an unknown key "more"$`));
      for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
        const text = `${JSON.stringify(frame).slice(0, -1)},${JSON.stringify(key)}:{"t":"x"}}`;
        assert.equal(check(Buffer.from(text)).ok, false, key);
      }
      for (const key of Object.keys(frame)) {
        const { [key]: _gone, ...rest } = frame as Record<string, unknown>;
        assert.equal(parse(check, rest).ok, false, `without ${key}`);
        if (FREE.has(key) || key === 't') continue;
        for (const value of NEVER)
          assert.equal(
            parse(check, { ...frame, [key]: value }).ok,
            false,
            `${key}: ${JSON.stringify(value)?.slice(0, 20)}`,
          );
      }
      const other = side === 'runner' ? parseHostFrame : parseRunnerFrame;
      assert.equal(parse(other, frame).ok, false, 'it is of one direction only');
    });
  }
}

const ids = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

const BOUNDS: [name: string, frame: object, ok: boolean][] = [
  ['taken, the most ids', { ...RUNNER.taken, ids: ids(limits.TURN_JOINED_MAX) }, true],
  ['taken, one more', { ...RUNNER.taken, ids: ids(limits.TURN_JOINED_MAX + 1) }, false],
  ['taken, none', { ...RUNNER.taken, ids: [] }, true],
  ['taken, id 0', { ...RUNNER.taken, ids: [0] }, false],
  ['taken, a text as id', { ...RUNNER.taken, ids: ['1'] }, false],
  ['a turn beyond the safe integers', { ...RUNNER.taken, turn: 2 ** 53 }, false],
  ['a turn as a fraction', { ...RUNNER.taken, turn: 1.5 }, false],
  ['done, the longest text', { ...RUNNER.done, text: 'x'.repeat(limits.OUTBOUND_TEXT_BYTES_MAX) }, true],
  ['done, a byte more', { ...RUNNER.done, text: `${'x'.repeat(limits.OUTBOUND_TEXT_BYTES_MAX)}y` }, false],
  [
    'done, fewer characters but more bytes',
    { ...RUNNER.done, text: '€'.repeat(limits.OUTBOUND_TEXT_BYTES_MAX / 2) },
    false,
  ],
  ['done, an outcome of its own', { ...RUNNER.done, outcome: 'cancelled' }, false],
  ['done, an outcome from the prototype', { ...RUNNER.done, outcome: 'toString' }, false],
  ['done, a resume point too long', { ...RUNNER.done, resume: 'x'.repeat(16 * 1024 + 1) }, false],
  ['file, the largest', { ...RUNNER.file, bytes: limits.FILE_BYTES_MAX }, true],
  ['file, a byte more', { ...RUNNER.file, bytes: limits.FILE_BYTES_MAX + 1 }, false],
  ['file, a name of a path is data', { ...RUNNER.file, name: '../../etc/passwd' }, true],
  ['file, a name too long', { ...RUNNER.file, name: 'é'.repeat(128) }, false],
  ['call, the largest input', { ...RUNNER.call, input: 'x'.repeat(limits.CALL_INPUT_BYTES_MAX - 2) }, true],
  ['call, a byte more', { ...RUNNER.call, input: 'x'.repeat(limits.CALL_INPUT_BYTES_MAX - 1) }, false],
  ['call, a name too long', { ...RUNNER.call, tool: 'x'.repeat(101) }, false],
  ['chunk, too much', { ...RUNNER.chunk, data: 'A'.repeat(Math.ceil(limits.FILE_CHUNK_BYTES_MAX / 3) * 4 + 1) }, false],
  ['hello, version 0', { ...RUNNER.hello, v: 0 }, false],
];

for (const [name, frame, ok] of BOUNDS)
  test(`${name}: ${ok ? 'passes' : 'is refused'}`, () => assert.equal(parse(parseRunnerFrame, frame).ok, ok));

test('the messages of a turn are counted', () => {
  const messages = Array.from({ length: limits.TURN_MESSAGES_MAX + 1 }, () => MESSAGE);
  assert.equal(parse(parseHostFrame, { ...HOST.turn, messages: messages.slice(1) }).ok, true);
  assert.equal(parse(parseHostFrame, { ...HOST.turn, messages }).ok, false);
});

const FILE_BOUNDS: [name: string, files: object[], ok: boolean][] = [
  ['no file', [], true],
  ['the most files', Array(limits.MESSAGE_FILES_MAX).fill(FILE), true],
  ['one file more', Array(limits.MESSAGE_FILES_MAX + 1).fill(FILE), false],
  ['the longest path', [{ ...FILE, path: 'x'.repeat(limits.FRAME_PATH_BYTES_MAX) }], true],
  ['a longer path', [{ ...FILE, path: 'x'.repeat(limits.FRAME_PATH_BYTES_MAX + 1) }], false],
  ['an empty file', [{ ...FILE, bytes: 0 }], false],
  ['a file with its bytes', [{ ...FILE, data: 'QQ==' }], false],
];

for (const [name, files, ok] of FILE_BOUNDS)
  test(`a message with ${name}: ${ok ? 'passes' : 'is refused'}`, () =>
    assert.equal(parse(parseHostFrame, { ...HOST.steer, messages: [{ ...MESSAGE, files }] }).ok, ok));

const GARBAGE: [name: string, bytes: Buffer | string][] = [
  ['nothing', ''],
  ['half a frame', '{"t":"hello"'],
  ['two frames', '{"t":"hello","v":1}{"t":"hello","v":1}'],
  ['a number that is none', '{"t":"hello","v":NaN}'],
  ['a number beyond all', '{"t":"hello","v":1e999}'],
  ['a list', '[{"t":"hello","v":1}]'],
  ['null', 'null'],
  ['a text', '"hello"'],
  ['no kind', '{"v":1}'],
  ['a kind from the prototype', '{"t":"__proto__"}'],
  ['another kind from the prototype', '{"t":"constructor","v":1}'],
  ['a kind that is no text', '{"t":["hello"],"v":1}'],
  [
    'bytes that are no UTF-8',
    Buffer.concat([Buffer.from('{"t":"hello","v":1,"x":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
  ],
  ['half a character', Buffer.from('{"t":"€').subarray(0, 7)],
];

for (const [name, bytes] of GARBAGE)
  test(`${name} is refused, with a reason`, () => {
    for (const check of [parseRunnerFrame, parseHostFrame] as Parse[]) {
      const parsed = check(Buffer.from(bytes));
      assert.equal(parsed.ok, false);
      assert.match(parsed.reason!, /^(a frame|frame )/);
    }
  });

for (const depth of [100, 5000, 200_000])
  test(`an input nested ${depth} deep is judged, not thrown`, () => {
    const input = '['.repeat(depth) + ']'.repeat(depth);
    const bytes = Buffer.from(`{"t":"call","call":1,"turn":1,"tool":"x","input":${input}}`);
    assert.doesNotThrow(() => parseRunnerFrame(bytes));
  });

test('2,000 random byte strings never make it throw', () => {
  const random = randomOf(7);
  const phrases = [
    '{',
    '}',
    '"',
    ':',
    ',',
    '[',
    ']',
    '"t"',
    '"call"',
    '"hello"',
    '"v"',
    '1',
    'null',
    '\\u0000',
    '1e9',
    ...Object.values(RUNNER).map((frame) => JSON.stringify(frame)),
  ];
  for (let i = 0; i < 2000; i += 1) {
    const bytes = randomBytes(random, Math.floor(random() * 200), phrases);
    for (const check of [parseRunnerFrame, parseHostFrame] as Parse[])
      assert.doesNotThrow(() => check(bytes), `number ${i}: ${bytes.toString('base64')}`);
  }
});
