import { createMCPClient, type MCPClient } from '@ai-sdk/mcp';
import { Experimental_StdioMCPTransport as StdioTransport } from '@ai-sdk/mcp/mcp-stdio';
import { jsonSchema, type ToolSet, tool } from 'ai';
import { messageOf } from '../../../src/base/errors.ts';
import type { FrameMcp } from '../../../src/protocol/frames.ts';

/**
 * Servers of tools that the group's authority names, each a process in this sandbox. They are started with the first turn and live as
 * long as the sandbox. Names are as Claude's: `mcp__<server>__<tool>`.
 */
const CALL_MS = 10 * 60_000;
const START_MS = 30_000;

export interface McpTools {
  set: ToolSet;
  /** For the model: the servers that did not start. */
  missing: string[];
  /** Undefined: no server has a tool of that name. Rejects with what the server said. */
  call(name: string, input: unknown, signal: AbortSignal): Promise<{ ok: boolean; text: string }> | undefined;
}

/** Resolves when each has started or failed. Never rejects. */
export async function startMcp(servers: readonly FrameMcp[], workspace: string): Promise<McpTools> {
  const calls = new Map<string, { client: MCPClient; name: string }>();
  const set: ToolSet = {};
  const missing: string[] = [];
  await Promise.all(
    servers.map(async (server) => {
      try {
        const client = await connect(server, workspace);
        const { tools } = await client.listTools({ options: { timeout: START_MS } });
        for (const { name, description, inputSchema } of tools) {
          const shown = `mcp__${server.name}__${name}`;
          calls.set(shown, { client, name });
          set[shown] = tool({ description: description ?? '', inputSchema: jsonSchema(inputSchema as object) });
        }
      } catch (error) {
        process.stderr.write(`MCP server ${server.name}: ${messageOf(error)}\n`);
        missing.push(server.name);
      }
    }),
  );
  return { set, missing, call: (name, input, signal) => callTool(calls.get(name), input, signal) };
}

async function connect({ name, command, env }: FrameMcp, workspace: string): Promise<MCPClient> {
  const [program, ...args] = command as [string, ...string[]];
  const own = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  const transport = new StdioTransport({
    ...{ command: program, args, cwd: workspace, stderr: 'inherit' },
    env: { ...(process.env as Record<string, string>), ...own },
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not answer within ${START_MS / 1000} s`)), START_MS);
  });
  const client = createMCPClient({ transport, name: 'glassclaw' });
  client.catch(() => {}); // it may fail after its time is over
  try {
    return await Promise.race([client, late]);
  } catch (error) {
    await transport.close().catch(() => {});
    throw new Error(`${name} cannot be started: ${messageOf(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

function callTool(
  found: { client: MCPClient; name: string } | undefined,
  input: unknown,
  signal: AbortSignal,
): Promise<{ ok: boolean; text: string }> | undefined {
  if (found === undefined) return undefined;
  const options = { signal, timeout: CALL_MS };
  return found.client
    .callTool({ name: found.name, arguments: input as Record<string, unknown>, options })
    .then((result) => ({ ok: result.isError !== true, text: textOf(result) }));
}

/** Text as it is; of anything else, that it was there. */
function textOf(result: object): string {
  const content = 'content' in result && Array.isArray(result.content) ? (result.content as unknown[]) : [];
  const parts = content.map((part) => {
    const { type, text } = part as { type?: unknown; text?: unknown };
    return type === 'text' && typeof text === 'string' ? text : `[${String(type)}]`;
  });
  if (parts.length > 0) return parts.join('\n');
  return 'structuredContent' in result ? JSON.stringify(result.structuredContent) : '';
}
