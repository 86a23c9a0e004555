import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Authority } from '../../src/authority/authority.ts';
import { difference } from '../../src/authority/difference.ts';
import {
  completes,
  type MessageFacts,
  messageMarks,
  requestMarks,
  standingMarks,
} from '../../src/authority/rule_of_two.ts';
import { systemClock } from '../../src/base/clock.ts';
import { addMarks, hasMarks, marksText } from '../../src/ledger/marks.ts';
import type { Mark } from '../../src/protocol/gateway.ts';
import { readFixture } from '../fakes/authorities.ts';
import { freshLedger, seedChat, temporaryFolder } from '../fakes/ledger_kit.ts';

/** Which facts make which mark, and what two of them mean for the third. */

function authority(context: TestContext, yaml: string): Authority {
  const file = join(temporaryFolder(context), 'group.yaml');
  writeFileSync(file, yaml);
  return readFixture(file);
}

const REQUESTS: [service: string, method: string, ws: boolean, marks: string][] = [
  ['', 'GET', false, 'A'],
  ['', 'HEAD', false, 'A'],
  ['', 'OPTIONS', false, 'A'],
  ['', 'POST', false, 'AC'],
  ['', 'PUT', false, 'AC'],
  ['', 'PATCH', false, 'AC'],
  ['', 'DELETE', false, 'AC'],
  ['use: token', 'GET', false, 'AB'],
  ['use: token', 'POST', false, 'ABC'],
  ['private: [10.0.0.0/8]', 'GET', false, 'AB'],
  ['ws: true', 'GET', false, 'A'],
  ['ws: true', 'GET', true, 'AC'],
  ['reads: none', 'GET', false, ''],
  ['reads: none', 'POST', false, 'C'],
  ['use: token, reads: private', 'GET', false, 'B'],
  ['use: token, reads: untrusted', 'GET', false, 'A'],
  ['reads: both', 'GET', false, 'AB'],
  ['reads: none, acts: true', 'GET', false, 'C'],
  ['reads: private, acts: false', 'POST', false, 'B'],
];

for (const [service, method, ws, marks] of REQUESTS)
  test(`${method}${ws ? ' for a WebSocket' : ''} to a service {${service}} makes "${marks}"`, (context) => {
    const more = service === '' ? '' : `, ${service}`;
    const { egress } = authority(
      context,
      `secrets: [token]\negress: {one: {host: a.example.com, allow: ["* /**"]${more}}}\n`,
    );
    assert.equal(requestMarks(Object.values(egress), method, ws).join(''), marks);
  });

test('each host of a wildcard may be anybody’s: to ask it is to act', (context) => {
  const { egress } = authority(context, 'egress: {one: {host: "*.example.com", wildcard: true, allow: [GET /]}}\n');
  assert.deepEqual(requestMarks(Object.values(egress), 'GET', false), ['A', 'C']);
});

test('of several services that let it through, each one counts', (context) => {
  const { egress } = authority(
    context,
    'egress:\n  one: {host: a.example.com, reads: private, acts: false, allow: [POST /a]}\n  two: {host: a.example.com, reads: none, allow: [POST /**]}\n',
  );
  assert.deepEqual(requestMarks(Object.values(egress), 'POST', false), ['B', 'C']);
});

test('folders are private, and to write there is to act; a server of tools is what its label says', (context) => {
  const folder = temporaryFolder(context);
  const mcp = 'mcp: {plain: {command: [date]}, mail: {command: [mail], reads: both, acts: true}}\n';
  const made = authority(context, mcp);
  const mounts: Authority['mounts'] = [
    { source: folder, target: '/mnt/read', access: 'read' },
    { source: folder, target: '/mnt/write', access: 'write' },
    { source: folder, target: '/mnt/public', access: 'write', reads: 'none', acts: false },
  ];
  assert.deepEqual(
    standingMarks({ ...made, mounts }).map(([cause, marks]) => `${cause}: ${marks.join('')}`),
    ['mount /mnt/read: B', 'mount /mnt/write: BC', 'mount /mnt/public: ', 'MCP server plain: ', 'MCP server mail: ABC'],
  );
});

const MESSAGES: [facts: Partial<MessageFacts>, marks: string][] = [
  [{ sender: 'admin' }, ''],
  [{ sender: 'member' }, ''],
  [{ sender: 'stranger' }, 'A'],
  [{ sender: 'member', members: 'untrusted' }, 'A'],
  [{ sender: 'admin', members: 'untrusted' }, ''],
  [{ sender: 'admin', foreign: true }, 'A'],
];

for (const [facts, marks] of MESSAGES)
  test(`a message with ${JSON.stringify(facts)} makes "${marks}"`, () =>
    assert.equal(messageMarks({ sender: 'admin', members: 'trusted', foreign: false, ...facts }).join(''), marks));

const THIRDS: [has: string, adds: string, completes: boolean][] = [
  ['', 'A', false],
  ['', 'AB', false],
  ['', 'ABC', true],
  ['A', 'C', false],
  ['AB', 'C', true],
  ['AC', 'B', true],
  ['BC', 'A', true],
  ['A', 'BC', true],
  ['AB', 'AB', false],
  ['ABC', 'A', false],
  ['ABC', 'B', false],
  ['ABC', 'AB', false],
  ['ABC', 'C', true],
  ['ABC', '', false],
];

for (const [has, adds, third] of THIRDS)
  test(`"${adds}" after "${has}" is ${third ? 'the third, or one more act' : 'neither the third nor an act after it'}`, () =>
    assert.equal(completes([...has] as Mark[], [...adds] as Mark[]), third));

test('a mark comes once, with its first cause, and the third one is an event and a word to the operator, once', async (context) => {
  const ledger = await freshLedger(context);
  const count = (sql: string): number => ledger.db.get<{ n: number }>(`SELECT count(*) AS n FROM ${sql}`)!.n;
  const session = await ledger.write('seed', (db) => seedChat(db));
  const add = (marks: Mark[], cause: string) =>
    ledger.write('seed', (db) => addMarks(db, systemClock, session, marks, cause));
  await add(['A'], 'm1');
  await add(['A', 'B'], 'GET a.example.com/');
  assert.equal(count("events WHERE kind = 'session.rule_of_two'"), 0);
  await add(['C'], 'h1');
  await add(['A', 'B', 'C'], 'm2');
  assert.deepEqual(hasMarks(ledger.db, session.id), ['A', 'B', 'C']);
  assert.equal(marksText(ledger.db, session.id), 'A (m1), B (GET a.example.com/), C (h1)');
  assert.equal(count("events WHERE kind = 'session.marked'"), 3);
  assert.equal(count("events WHERE kind = 'session.rule_of_two'"), 1);
  assert.equal(count("outbound WHERE body LIKE '⚠ s1 of assistant %'"), 1);
});

const BASE = 'egress: {one: {host: a.example.com, allow: [GET /]}}\nmcp: {m: {command: [date]}}\n';
const CHANGES: [after: string, changes: string[]][] = [
  [
    `${BASE}rule_of_two: enforce\n`,
    [
      'changes rule of two: the operator is told when a conversation has all three → the third, and each act after it, waits for a person',
    ],
  ],
  [`${BASE}rule_of_two: warn\n`, []],
  [`${BASE}members: untrusted\n`, ['changes members: what they write is trusted → what they write is untrusted']],
  [
    BASE.replace('[GET /]', '[GET /], reads: none, acts: true'),
    ['gains egress GET a.example.com/, reads none, each use is an act', 'loses egress GET a.example.com/'],
  ],
  [
    BASE.replace('[date]', '[date], reads: private'),
    ['gains MCP server m: "date", reads private', 'loses MCP server m: "date"'],
  ],
];

for (const [after, changes] of CHANGES)
  test(`a change of policy or label is shown: ${changes[0] ?? 'none, as it is the default'}`, (context) => {
    const found = difference(authority(context, BASE), authority(context, after));
    assert.deepEqual(
      found.map(({ kind, words }) => `${kind} ${words}`),
      changes,
    );
  });
