import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageReader } from '../../src/gateway/usage.ts';
import { anthropicReply, openaiReply, type Reply } from '../fakes/model_replies.ts';

const usage = { input: 321, output: 45 };
const uncached = { cache_read_tokens: 0, cache_write_tokens: 0 };
const seen = { model: 'fake-model', input_tokens: 321, output_tokens: 45, ...uncached };
const request = { model: 'fake-model' };
const answer = {
  text: 'some words "usage":{"input_tokens":9}',
  tools: [{ name: 't', input: { usage: { input_tokens: 9 } } }],
  usage,
};

function read(type: string, chunks: (string | Buffer)[]): object {
  const reader = new UsageReader(type);
  for (const chunk of chunks) reader.push(Buffer.from(chunk as string));
  return reader.result();
}

const replies: Record<string, Reply> = {
  'Anthropic, plain': anthropicReply(request, answer),
  'Anthropic, streamed': anthropicReply({ ...request, stream: true }, answer),
  'OpenAI Chat Completions, plain': openaiReply(request, answer),
  'OpenAI Chat Completions, streamed': openaiReply(
    { ...request, stream: true, stream_options: { include_usage: true } },
    answer,
  ),
  'OpenAI Responses, plain': {
    type: 'application/json',
    chunks: [
      JSON.stringify(
        {
          model: 'fake-model',
          output: [{ usage: { input_tokens: 1 } }],
          usage: { input_tokens: 321, output_tokens: 45 },
        },
        null,
        2,
      ),
    ],
  },
  'OpenAI Responses, streamed': {
    type: 'text/event-stream; charset=utf-8',
    chunks: [
      'event: response.created\ndata: {"type":"response.created","response":{"model":"fake-model","usage":null}}\n\n',
      'event: response.completed\ndata: {"type":"response.completed","response":{"model":"fake-model","output":[{"content":[{"text":"{\\"usage\\":{\\"input_tokens\\":1}}"}]}],"usage":{"input_tokens":321,"input_tokens_details":{"cached_tokens":7},"output_tokens":45}}}\n\n',
    ],
  },
  'Ollama, streamed': {
    type: 'application/x-ndjson',
    chunks: [
      '{"model":"fake-model","message":{"role":"assistant","content":"hi"},"done":false}\n',
      '{"model":"fake-model","message":{"content":""},"done":true,"prompt_eval_count":321,"eval_count":45}\n',
    ],
  },
};

for (const [name, reply] of Object.entries(replies)) {
  test(`${name}: model and tokens are read, however the bytes are split`, () => {
    assert.deepEqual(read(reply.type, reply.chunks), seen);
    const whole = Buffer.from(reply.chunks.join(''));
    assert.deepEqual(
      read(
        reply.type,
        [...whole].map((byte) => Buffer.of(byte)),
      ),
      seen,
    );
    for (let at = 0; at < whole.length; at += 7)
      assert.deepEqual(read(reply.type, [whole.subarray(0, at), whole.subarray(at)]), seen, `split at ${at}`);
  });
}

test('cached input counts as input, and is told apart', () => {
  const body =
    '{"usage":{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":1}}';
  assert.deepEqual(read('application/json', [body]), {
    ...{ model: null, input_tokens: 3210, output_tokens: 1 },
    ...{ cache_read_tokens: 3000, cache_write_tokens: 200 },
  });
});

const unknown = { model: null, input_tokens: null, output_tokens: null, ...uncached };
for (const [name, type, body] of [
  ['an unknown shape', 'application/json', '{"tokens":{"in":3}}'],
  ['no JSON', 'text/html', '<html>"usage":{"input_tokens":3}</html>'],
  ['numbers that are no counts', 'application/json', '{"usage":{"input_tokens":-3,"output_tokens":1.5}}'],
  ['usage inside a list', 'application/json', '{"usage":[{"input_tokens":3}]}'],
  ['usage inside a text', 'application/json', '{"text":"\\"usage\\":{\\"input_tokens\\":3}"}'],
  ['an empty reply', 'application/json', ''],
] as const) {
  test(`${name}: tokens are unknown, not zero`, () => assert.deepEqual(read(type, [body]), unknown));
}

/** What a streamed reply of Anthropic has sent after so many pieces of its text, before it tells what it has cost. */
function begun(pieces: number, text: string): string {
  const event = (type: string, value: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...value })}\n\n`;
  const piece = event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } });
  const usage = { input_tokens: 321, output_tokens: 1 };
  return event('message_start', { message: { model: 'fake-model', content: [], usage } }) + piece.repeat(pieces);
}

for (const [text, tokens] of [
  ['word', 100],
  ['some dozen words of the kind that a fast endpoint sends in one piece', 1200],
] as const)
  test(`a stream that is cut has cost what has passed: ${tokens} tokens, or up to twice as many`, () => {
    const reader = new UsageReader('text/event-stream');
    reader.push(Buffer.from(begun(100, text)));
    const { input_tokens, output_tokens } = reader.result(false);
    assert.equal(input_tokens, 321);
    assert.ok(output_tokens! >= tokens && output_tokens! <= 2.5 * tokens, String(output_tokens));
    assert.equal(reader.result(true).output_tokens, 1);
  });

test('of a cut reply a count that is larger than what has passed is kept, and an unknown one stays unknown', () => {
  const reader = new UsageReader('text/event-stream');
  reader.push(Buffer.from('data: {"usage":{"input_tokens":8,"output_tokens":2000}}\n'));
  assert.equal(reader.result(false).output_tokens, 2000);
  const other = new UsageReader('text/event-stream');
  other.push(Buffer.from('data: {"choices":[]}\n'));
  assert.equal(other.result(false).output_tokens, null);
});

test('a broken line of a stream does not hide the next one', () => {
  const chunks = [
    'data: {"usage":{"input_tokens":1,"x":"cut\n',
    'data: {"usage":{"input_tokens":8,"output_tokens":2}}\n',
  ];
  assert.deepEqual(read('text/event-stream', chunks), { model: null, input_tokens: 8, output_tokens: 2, ...uncached });
});
