/** The bytes of model replies in two dialects, as a list of chunks: one event each when streamed. */

export interface ToolCall {
  name: string;
  input: unknown;
}

/** What the scripted model says. */
export interface Answer {
  text?: string;
  tools?: ToolCall[];
  usage?: { input: number; output: number };
}

export interface Reply {
  type: string;
  chunks: string[];
}

const DEFAULT_USAGE = { input: 12, output: 5 };
let calls = 0;

function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify({ type: name, ...data })}\n\n`;
}

/** One word a chunk, as real endpoints stream. */
function words(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? (text === '' ? [] : [text]);
}

export function anthropicReply(request: { model?: string; stream?: boolean }, answer: Answer): Reply {
  const usage = answer.usage ?? DEFAULT_USAGE;
  const tools = (answer.tools ?? []).map((tool) => ({ type: 'tool_use', id: `toolu_fake_${++calls}`, ...tool }));
  const blocks = [...(answer.text === undefined ? [] : [{ type: 'text', text: answer.text }]), ...tools];
  const stop = { stop_reason: tools.length > 0 ? 'tool_use' : 'end_turn', stop_sequence: null };
  const message = { id: `msg_fake_${++calls}`, type: 'message', role: 'assistant', model: request.model ?? 'fake' };
  if (request.stream !== true) {
    const whole = {
      ...message,
      content: blocks,
      ...stop,
      usage: { input_tokens: usage.input, output_tokens: usage.output },
    };
    return { type: 'application/json', chunks: [JSON.stringify(whole)] };
  }
  const chunks = [
    event('message_start', {
      message: {
        ...message,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: usage.input, output_tokens: 1 },
      },
    }),
  ];
  for (const [index, block] of blocks.entries()) chunks.push(...anthropicBlock(index, block));
  chunks.push(
    event('message_delta', { delta: stop, usage: { output_tokens: usage.output } }),
    event('message_stop', {}),
  );
  return { type: 'text/event-stream', chunks };
}

function anthropicBlock(index: number, block: { type: string; text?: string; input?: unknown }): string[] {
  const start = 'text' in block ? { type: 'text', text: '' } : { ...block, input: {} };
  const deltas =
    'text' in block
      ? words(block.text ?? '').map((text) => ({ type: 'text_delta', text }))
      : [{ type: 'input_json_delta', partial_json: JSON.stringify(block.input) }];
  return [
    event('content_block_start', { index, content_block: start }),
    ...deltas.map((delta) => event('content_block_delta', { index, delta })),
    event('content_block_stop', { index }),
  ];
}

interface OpenaiRequest {
  model?: string;
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
}

export function openaiReply(request: OpenaiRequest, answer: Answer): Reply {
  const given = answer.usage ?? DEFAULT_USAGE;
  const usage = {
    prompt_tokens: given.input,
    completion_tokens: given.output,
    total_tokens: given.input + given.output,
  };
  const tools = (answer.tools ?? []).map((tool, index) => ({
    index,
    id: `call_fake_${++calls}`,
    type: 'function',
    function: { name: tool.name, arguments: JSON.stringify(tool.input) },
  }));
  const finish_reason = tools.length > 0 ? 'tool_calls' : 'stop';
  const head = { id: `chatcmpl-fake-${++calls}`, created: 1_700_000_000, model: request.model ?? 'fake' };
  if (request.stream !== true) {
    const message = {
      role: 'assistant',
      content: answer.text ?? null,
      ...(tools.length > 0 ? { tool_calls: tools.map(({ index: _, ...tool }) => tool) } : {}),
    };
    const whole = { ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason }], usage };
    return { type: 'application/json', chunks: [JSON.stringify(whole)] };
  }
  const chunk = (choices: object[], more: object = {}): string =>
    `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices, ...more })}\n\n`;
  const delta = (part: object): string => chunk([{ index: 0, delta: part, finish_reason: null }]);
  const chunks = [
    delta({ role: 'assistant', content: '' }),
    ...words(answer.text ?? '').map((content) => delta({ content })),
    ...tools.map((tool) => delta({ tool_calls: [tool] })),
    chunk([{ index: 0, delta: {}, finish_reason }]),
  ];
  if (request.stream_options?.include_usage === true) chunks.push(chunk([], { usage }));
  chunks.push('data: [DONE]\n\n');
  return { type: 'text/event-stream', chunks };
}
