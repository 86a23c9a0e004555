import { createInterface } from 'node:readline';

/**
 * A server of tools after the Model Context Protocol, over its standard streams: one tool `add`, of two numbers, that says
 * where, with which `GREETING` and as which process it runs.
 */
interface Request {
  id?: number | string;
  method: string;
  params?: { protocolVersion?: string; name?: string; arguments?: { a: number; b: number } };
}

const ADD = {
  name: 'add',
  description: 'Adds two numbers.',
  inputSchema: {
    type: 'object',
    properties: { a: { type: 'number' }, b: { type: 'number' } },
    required: ['a', 'b'],
  },
};

function resultOf({ method, params }: Request): object | null {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: params!.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: 'sums', version: '1' },
      };
    case 'tools/list':
      return { tools: [ADD] };
    case 'tools/call': {
      const { a, b } = params!.arguments!;
      const text = `${process.env['GREETING']}: ${a + b} in ${process.cwd()}, pid ${process.pid}`;
      return { content: [{ type: 'text', text }], isError: Number.isNaN(a + b) };
    }
    case 'ping':
      return {};
    default:
      return null;
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as Request;
  if (request.id === undefined) return; // a notification
  const result = resultOf(request);
  const answer = result === null ? { error: { code: -32601, message: 'no such method' } } : { result };
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: request.id, ...answer })}\n`);
});
