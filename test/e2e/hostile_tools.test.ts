import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { until } from '../fakes/install.ts';
import { outsideOf } from '../fakes/litter.ts';
import { ask, type ScriptedInstall } from '../fakes/scripted_group.ts';
import type { Terminal } from '../fakes/terminal.ts';
import { carelessInstall } from '../kits/careless_install.ts';

/**
 * Every text that any tool takes, with a path that leads out of the workspace in it. The tools are those that the model is
 * offered, so a new one is in the table by itself: nothing outside changes, and what the agent hears is short and plain.
 */
type Input = Record<string, unknown>;

interface Field {
  type: string;
  properties?: Record<string, Field>;
  items?: Field;
  required?: string[];
}

interface Offered {
  name: string;
  input_schema: Field;
}

interface Row {
  tool: string;
  field: string;
  inputFor(path: string): Input;
}

const ANSWER_CHARS_MAX = 400;
/** They answer with what somebody has written. */
const TOLD_BY_OTHERS = ['read_file', 'history_search'];
/** Words of a program for its programmer. */
const NO_WORDS = /\n\s+at |undefined|\[object|Zod|SQLITE|invalid_/;
/** What a tool needs beside the field in question, where any word will not do. */
const GOOD: Record<string, unknown> = { when: 'every 2h', emoji: '👍', path: 'own', minutes: 1, add: { apt: ['jq'] } };
/** What the schema of `request_authority` says in words only; with a reason no more than a group may ask for in an hour. */
const WISHES: Record<string, (path: string) => Input> = {
  'mounts.source': (path) => ({ mounts: [{ source: join('/', path), access: 'write' }] }),
  'egress.name': (path) => ({ egress: [{ name: path, host: 'api.example.com', allow: ['GET /a'] }] }),
  'egress.host': (path) => ({ egress: [{ name: 'api', host: path, allow: ['GET /a'] }] }),
  'egress.allow': (path) => ({ egress: [{ name: 'api', host: 'api.example.com', allow: [`GET ${path}`] }] }),
  'mcp.name': (path) => ({ mcp: [{ name: path, command: ['true'] }] }),
  'mcp.command': (path) => ({ mcp: [{ name: 'files', command: [path] }] }),
  'agents.name': (path) => ({ agents: [{ name: path, instructions: 'Be kind.' }] }),
  ...Object.fromEntries(['apt', 'npm', 'pip', 'secrets'].map((kind) => [kind, (path: string) => ({ [kind]: [path] })])),
};

let made: ScriptedInstall;
let agent: Terminal;
let outside: string;
let untouched: string;

before(async () => {
  ({ made, outside } = await carelessInstall());
  agent = await made.terminal('table');
  await ask(agent, 'warm up');
  untouched = outsideOf(made.install.paths.home);
});
afterEach((context) => made.install.explain(context));
after(() => made.stop());

/** A row for each text within the input: of the input itself, of its lists, and of what they list. */
function rowsOf({ name, input_schema }: Offered): Row[] {
  const { properties = {}, required = [] } = input_schema;
  const needed = Object.fromEntries(required.map((field) => [field, GOOD[field] ?? 'own']));
  const schemaRows = Object.entries(properties).flatMap(([field, schema]) =>
    placesIn(schema).map(
      ([below, put]): Row => ({
        tool: name,
        field: field + below,
        inputFor: (path) => ({ ...needed, [field]: put(path) }),
      }),
    ),
  );
  if (name !== 'request_authority') return schemaRows;
  const wishes = Object.entries(WISHES).map(([field, add]): Row => {
    return { tool: name, field: `add.${field}`, inputFor: (path) => ({ ...needed, add: add(path) }) };
  });
  return [...schemaRows, ...wishes];
}

/** Where texts stand in a value, and how a value with one there is made. */
function placesIn({ type, items, properties = {}, required = [] }: Field): [string, (path: string) => unknown][] {
  if (type === 'string') return [['', (path) => path]];
  if (type === 'array' && items !== undefined)
    return placesIn(items).map(([below, put]) => [`[]${below}`, (path) => [put(path)]]);
  const needed = Object.fromEntries(required.map((field) => [field, 'own']));
  return Object.entries(properties).flatMap(([field, schema]) =>
    placesIn(schema).map(([below, put]): [string, (path: string) => unknown] => [
      `.${field}${below}`,
      (path) => ({ ...needed, [field]: put(path) }),
    ]),
  );
}

/** What the tool said; a question is answered, and a tool that ends the turn in silence says nothing. */
async function said({ tool, inputFor }: Row, path: string): Promise<string> {
  const from = agent.heard.length;
  await agent.say(`tool ${tool} ${JSON.stringify(inputFor(path))}`);
  // The echo of a message that came alone has its envelope around it.
  if (tool === 'no_reply') return (await ask(agent, 'and now?')).replaceAll(/<message [^>]*>\n|\n<\/message>/g, '');
  let answered = false;
  return until(`what ${tool} says`, async () => {
    const heard = agent.heard.slice(from).map(({ body }) => body);
    const found = heard.find((body) => body.startsWith('tool said: '));
    if (found !== undefined) return found.slice('tool said: '.length);
    if (tool === 'ask' && heard.length > 0 && !answered) {
      answered = true;
      await agent.say('1');
    }
    throw new Error(`heard: ${heard.join(' | ').slice(0, 200)}`);
  });
}

test('a path that leads out, in every text that any tool takes, changes nothing outside, and is answered plainly', async (context) => {
  const offered = made.model.requests.at(-1)!.json.tools as Offered[];
  const table = offered.flatMap(rowsOf);
  context.diagnostic(`${offered.length} tools, ${table.length} texts`);
  assert.ok(offered.length >= 16 && table.length >= 40, 'the table has lost rows');
  const paths = [`../../../../..${outside}/file`, `${outside}/file`, '/group/AGENTS.md'];
  for (const row of table) {
    // What is asked for is counted.
    for (const path of row.tool === 'request_authority' ? paths.slice(0, 1) : paths) {
      const name = `${row.tool} ${row.field} ${path}`;
      const answer = await said(row, path);
      assert.ok(!answer.includes('untouched'), name);
      if (!TOLD_BY_OTHERS.includes(row.tool)) assert.ok(isPlain(answer, row.tool), `${name}: ${answer}`);
      assert.doesNotMatch(answer, /too many/, name);
    }
    assert.equal(outsideOf(made.install.paths.home), untouched, `${row.tool} ${row.field} changed something outside`);
  }
});

/** One sentence, or the few fields of a success; a shell says how its command ended on a line of its own. */
function isPlain(answer: string, tool: string): boolean {
  const lines = answer.split('\n').filter((line) => line.trim() !== '');
  const short = answer !== '' && answer.length <= ANSWER_CHARS_MAX && lines.length <= (tool === 'bash' ? 2 : 1);
  return short && !NO_WORDS.test(answer);
}
