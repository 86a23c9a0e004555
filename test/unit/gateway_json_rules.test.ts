import assert from 'node:assert/strict';
import { test } from 'node:test';
import { egressSchema } from '../../src/authority/egress.ts';
import { JSON_DEPTH_MAX } from '../../src/base/limits/gateway.ts';
import { judgeJson } from '../../src/gateway/json_rules.ts';

const RULES = ['mcp_servers', 'container', 'tools.*.type=web_fetch*', '**.source.type=url', 'n=7'];

function judged(body: string | Buffer): string {
  const verdict = judgeJson(Buffer.from(body as string), RULES);
  return verdict.kind === 'denied' ? verdict.rule : verdict.kind;
}

for (const [body, expected] of [
  ['{}', 'fine'],
  ['[]', 'fine'],
  ['"mcp_servers"', 'fine'],
  ['{"messages":[{"content":"mcp_servers"}],"x":{"mcp_servers":1}}', 'fine'],
  ['{"tools":[{"type":"function","name":"web_fetch"}]}', 'fine'],
  ['{"source":{"type":"base64"}}', 'fine'],
  ['{"n":70}', 'fine'],
  ['{"mcp_servers":null}', 'mcp_servers'],
  ['{"MCP_Servers":[]}', 'mcp_servers'],
  ['{"mcp_ſervers":[]}', 'mcp_servers'],
  ['{"\\u006dcp_servers":[]}', 'mcp_servers'],
  ['{"container":{"a":1}}', 'container'],
  ['{"tools":[{"type":"a"},{"type":"web_fetch_20250910"}]}', 'tools.*.type=web_fetch*'],
  ['{"tools":{"0":{"type":"WEB_FETCH"}}}', 'tools.*.type=web_fetch*'],
  ['{"tools":[{"type":["web_fetch"]}]}', 'tools.*.type=web_fetch*'],
  ['{"source":{"type":"url"}}', '**.source.type=url'],
  ['{"messages":[{"content":[{"source":{"type":"url"}}]}]}', '**.source.type=url'],
  ['{"n":7}', 'n=7'],
  ['{"__proto__":{"source":{"type":"url"}}}', '**.source.type=url'],
] as const) {
  test(`${body} is ${expected}`, () => assert.equal(judged(body), expected));
}

for (const [name, body] of [
  ['nothing', ''],
  ['a form', 'a=b'],
  ['two values', '{}{}'],
  ['a comment', '{}//x'],
  ['a byte order mark', '\ufeff{}'],
  ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
  ['a key twice', '{"a":1,"b":{"a":1},"a":2}'],
  ['a key twice, escaped once', '{"a":1,"\\u0061":2}'],
  ['a key twice in an element', '[{"a":"}{"},{"a":1,"a":1}]'],
  ['more levels than anybody writes', `${'['.repeat(JSON_DEPTH_MAX + 1)}${']'.repeat(JSON_DEPTH_MAX + 1)}`],
] as const) {
  test(`${name} is malformed`, () => assert.equal(judged(body), 'malformed'));
}

test('the same key in two objects, and text that looks like structure, are no twins', () => {
  assert.equal(judged('[{"a":1},{"a":2},{"b":"{\\"a\\":1,\\"a\\":2}","c":["x","x"]}]'), 'fine');
});

test('a body of the largest size is judged in less than ten seconds', () => {
  const body = `{"a":[${'{"b":"c"},'.repeat(300_000)}1]}`;
  const began = performance.now();
  assert.equal(judged(body), 'fine');
  assert.ok(performance.now() - began < 10_000);
});

test('a rule that could never match is refused when the group is read', () => {
  const parse = (rule: string) =>
    egressSchema.safeParse({ api: { host: 'api.example.com', allow: ['POST /a'], deny_json: [rule] } }).success;
  for (const rule of RULES) assert.ok(parse(rule), rule);
  for (const rule of ['', 'a..b', '.a', 'a.', '=x', 'a.=x', 'a=']) assert.ok(!parse(rule), rule);
});
