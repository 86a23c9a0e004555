import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATUS_LINES_MAX } from '../../src/base/limits/alerts.ts';
import type { Io } from '../../src/cli/io.ts';
import { renderStatus } from '../../src/cli/status.ts';
import {
  groupRows,
  machineRows,
  messageRows,
  type StatusRow,
  setRows,
  span,
  waitingRows,
} from '../../src/cli/status_rows.ts';
import type { Status } from '../../src/evidence/status.ts';
import { budgetsOf, oldestApproval, queuesOf } from '../../src/evidence/status_facts.ts';
import { freshLedger, queueMessage, queueOutbound, seedChat } from '../fakes/ledger_kit.ts';

/** The screen of the status: what is wrong is told apart, with what to do; its facts are read from a real ledger. */

const NOW = 1_800_000_000_000;
const GOOD = {
  ...{
    state: 'ok',
    at_ms: NOW,
    version: '0.1.0',
    node: 'v24',
    home: '/srv/home',
    up_ms: 60_000,
    memory_bytes: 10 ** 8,
    sweeps_needed: 0,
  },
  versions: {
    glassclaw: '0.1.0',
    node: '24.21.0',
    sqlite: '3.53.4',
    kernel: '6',
    runtime: '0.8.0',
    schema: 15,
    harnesses: { native: { ai: '7.0.0', x: '1.0.0' } },
  },
  config: { sha256: 'ab'.repeat(32), changed: false },
  ...{ gateway: 'connected', gateway_since_ms: NOW - 5000 },
  runtime: { name: 'bubblewrap', problems: [], limits: [{ name: 'pids', state: 'enforced', reason: '' }] },
  channels: [{ name: 'local', state: 'connected', detail: '0 terminals', proof: null, unreadable: 0 }],
  webhooks: null,
  groups: [
    {
      name: 'assistant',
      harness: 'probe',
      model: 'none',
      problem: null,
      edited: null,
      proof: { at_ms: NOW, depth: 'quick', ms: 1, ok: true },
      controls: { 'a.b': NOW },
    },
  ],
  ...{
    sessions: [],
    usage: [],
    budgets: [],
    queues: [],
    ignored: [],
    approvals: 0,
    approvals_oldest_ms: null,
    alerts: [],
    unwritten: [],
    ways: [],
    stopped: [],
    safe: false,
    checked: null,
  },
  conservation: {
    messages: 1,
    inbound: { answered: 1 },
    outbound: {},
    overdue: { inbound: 0, outbound: 0 },
    unheard: 0,
    violations: [],
  },
  asks: { waiting: 0, oldest_ms: null },
  files: { count: 0, bytes: 0, pruned: null },
  disk: { free_bytes: 10 ** 11, total_bytes: 10 ** 12, ledger_bytes: 1000, audit_bytes: null, vault_bytes: null },
  last_backup_ms: null,
  tasks: { active: 0, paused: 0, failing: 0, next: null },
} as unknown as Status;

function rowsOf(change: object): StatusRow[] {
  const status = { ...GOOD, ...change } as Status;
  return [machineRows, groupRows, messageRows, waitingRows, setRows].flatMap((section) => section(status));
}

const WRONGS: [name: string, change: object, row: string, text: RegExp, fix: RegExp][] = [
  ['a lost gateway', { gateway: 'lost' }, 'gateway', /lost 5 s ago/, /glass up/],
  [
    'a runtime that cannot start',
    { runtime: { name: 'docker', problems: ['no engine'], limits: [] } },
    'runtime',
    /docker: no engine/,
    /doctor/,
  ],
  [
    'a ledger that cannot be written',
    {
      unwritten: [
        {
          kind: 'ledger.trouble',
          subject: 'ledger',
          text: 'no\x1b[2J',
          created_ms: NOW - 5000,
          act: 'make it writable',
        },
      ],
    },
    'alert',
    /^ledger\.trouble ledger, for 5 s: no.* \(not on record yet\)$/,
    /make it writable/,
  ],
  ['a full disk', { disk: { ...GOOD.disk, free_bytes: 1000 } }, 'disk', /1 KB free/, /free some space/],
  [
    'a failed channel',
    {
      channels: [
        {
          name: 'tg',
          state: 'failed',
          proof: null,
          unreadable: 3,
          detail: 'x',
          seen: {
            since_ms: NOW - 240_000,
            last_in_ms: null,
            lag_ms: null,
            limited_until_ms: NOW + 30_000,
            breaker: 'open',
            restarts: 2,
            last_error: { at_ms: NOW, text: 'refused\x1b[2J' },
          },
        },
      ],
    },
    'channel',
    /tg: failed for 4 min, nothing came yet, limited for 30 s, breaker open, 2 restarts, 3 unreadable: refused\\u001b\[2J/,
    /channel test tg/,
  ],
  [
    'a listener that cannot listen',
    { webhooks: { reason: 'nothing comes in over HTTP: taken\x1b[2J', since_ms: NOW - 5000 } },
    'webhooks',
    /for 5 s nothing comes in over HTTP: taken\\u001b\[2J/,
    /webhooks: \{listen/,
  ],
  [
    'a group without authority',
    { groups: [{ ...GOOD.groups[0], problem: 'nothing is in force' }] },
    'group',
    /nothing is in force/,
    /group plan assistant/,
  ],
  [
    'a boundary that failed',
    { groups: [{ ...GOOD.groups[0], proof: { at_ms: NOW, depth: 'full', ms: 1, ok: false } }] },
    'boundary',
    /failed at/,
    /inspect assistant/,
  ],
  [
    'a budget that is used up',
    { budgets: [{ group: 'a', of: { usd_per_day: 2 }, used: { usd: 2.5, tokens: 0, requests: 0 }, idle_usd: null }] },
    'budget',
    /2\.50 dollars of 2/,
    /group\.yaml/,
  ],
  [
    'a broken law',
    { conservation: { ...GOOD.conservation, violations: ['1 turns run without a message'] } },
    'laws',
    /turns run/,
    /keep ledger\.db/,
  ],
  [
    'what is overdue',
    { conservation: { ...GOOD.conservation, overdue: { inbound: 1, outbound: 1 } } },
    'laws',
    /2 overdue/,
    /glass trace/,
  ],
  [
    'a decision that waits',
    { approvals: 2, approvals_oldest_ms: NOW - 7_200_000 },
    'approval',
    /2 waiting, the oldest for 2 h/,
    /approval list/,
  ],
  [
    'an alert',
    {
      alerts: [
        { id: 'a3', kind: 'storage', subject: 'x', text: 'full', count: 4, since_ms: NOW - 60_000, acked: false },
      ],
    },
    'alert',
    /a3 storage x ×4, for 60 s: full/,
    /alert ack a3/,
  ],
  ['safe mode', { safe: true }, 'safe', /nothing runs and nothing leaves/, /glass down/],
  [
    'a group that is stopped',
    { stopped: [{ group: 'work', by: 'Olga', since_ms: NOW, held: 2, waiting: 1 }] },
    'stopped',
    /work since .* by Olga, 2 texts held, 1 messages waiting/,
    /glass resume work/,
  ],
  ['a way that fails', { ways: [{ way: 'webhook', error: 'refused' }] }, 'webhook', /refused/, /alert test/],
  [
    'a check that failed',
    { checked: { at: new Date(NOW).toISOString(), state: 'failed' } },
    'check',
    /failed on/,
    /--last/,
  ],
];

test('when all is well nothing is wrong, and a backup that never was is said to be none', () => {
  const rows = rowsOf({});
  assert.deepEqual(
    rows.filter((row) => row.wrong),
    [],
  );
  assert.equal(rows.find(({ name }) => name === 'backup')!.text, 'never');
  assert.equal(rows.find(({ name }) => name === 'versions')!.text, 'Node 24.21.0, SQLite 3.53.4, schema 15, ai 7.0.0');
  assert.ok(rows.length < 40);
});

for (const [name, change, row, text, fix] of WRONGS)
  test(`${name} is wrong, with what to do`, () => {
    const wrong = rowsOf(change).filter((each) => each.wrong);
    assert.deepEqual(
      wrong.map((each) => each.name),
      [row],
    );
    assert.match(wrong[0]!.text, text);
    assert.match(wrong[0]!.fix!, fix);
  });

const MANY = Array.from({ length: 60 }, (_, at) => at);

/** An install of sixty groups, with something of everything that there can be many of, and much of it wrong. */
function crowded(): Status {
  const { groups, channels } = GOOD;
  const failed = { at_ms: NOW, depth: 'full', ms: 1, ok: false };
  const session = { state: 'idle', harness: 'probe', pid: 1, image: null, authority: 'in force', marks: '' };
  const used = { usd: 3, tokens: 0, requests: 0 };
  const spent = { requests: 1, input_tokens: 1, output_tokens: 1, cost_micros: 1 };
  const alert = { kind: 'turn.failed', text: 'it failed '.repeat(20), count: 1, since_ms: NOW, acked: false };
  const of = <T>(make: (name: string, at: number) => T): T[] => MANY.map((at) => make(`n${at}`, at));
  return {
    ...GOOD,
    groups: of((name, at) => ({ ...groups[0], name, proof: at % 2 === 0 ? failed : groups[0]!.proof })),
    channels: of((name, at) => ({ ...channels[0], name, state: at % 2 === 0 ? 'connected' : 'failed', seen: SEEN })),
    sessions: of((name) => ({ ...session, session: name, group: name })),
    usage: of((group) => ({ ...spent, group })),
    budgets: of((group, at) => ({ group, of: { usd_per_day: at % 2 === 0 ? 9 : 2 }, used, idle_usd: null })),
    queues: of((group) => ({ group, queued: 1, oldest_queued_ms: NOW, leaving: 0, oldest_leaving_ms: null })),
    stopped: of((group) => ({ group, by: 'Olga', since_ms: NOW, held: 0, waiting: 0 })),
    ignored: of((rule) => ({ rule, count: 1 })).slice(0, 10),
    alerts: of((id) => ({ ...alert, id, subject: id })),
  } as unknown as Status;
}

const SEEN = {
  ...{ since_ms: NOW, last_in_ms: null, lag_ms: null, limited_until_ms: null },
  ...{ breaker: 'closed', restarts: 0, last_error: null },
};

const linesOf = (status: Status, columns?: number): string[] => {
  const io: Io = { out: () => {}, err: () => {}, json: false, colour: false, columns };
  return renderStatus(status, io).split('\n');
};

for (const columns of [undefined, 80, 200])
  test(`it stays one screen however much there is, of ${columns ?? 'no'} columns`, () => {
    const lines = linesOf(crowded(), columns);
    assert.ok(lines.length >= 24 && lines.length <= STATUS_LINES_MAX, `${lines.length} lines`);
    for (const name of ['stopped', 'channel', 'boundary', 'budget', 'alert'])
      assert.equal(lines.filter((line) => line.startsWith(`  ${name.padEnd(9)}n`)).length >= 1, true, name);
    assert.match(lines.join('\n'), /^ {11}and 59 more: \.\/glass status --json has all$/m);
  });

test('of a few nothing is left out, and of more than fit as many are shown as do', () => {
  const sessions = crowded().sessions;
  const few = linesOf({ ...GOOD, sessions: sessions.slice(0, 12) });
  assert.equal(few.filter((line) => line.startsWith('  session')).length, 12);
  assert.doesNotMatch(few.join('\n'), / more/);
  const many = linesOf({ ...GOOD, sessions });
  assert.equal(many.filter((line) => line.startsWith('  session')).length, 10);
  assert.match(many.join('\n'), /^ {11}and 50 more: /m);
});

test('a file that has changed since the start is said so', () => {
  const config = { ...GOOD.config, changed: true };
  assert.match(rowsOf({ config }).find(({ name }) => name === 'config')!.text, /abababababab; the file has changed/);
});

test('a queue is told with the age of its oldest', () => {
  const queues = [
    { group: 'a', queued: 2, oldest_queued_ms: NOW - 180_000, leaving: 1, oldest_leaving_ms: NOW - 3000 },
  ];
  assert.equal(
    rowsOf({ queues }).find(({ name }) => name === 'queue')!.text,
    'a: 2 wait for a turn, the oldest for 3 min; 1 on the way out, the oldest for 3 s',
  );
});

test('durations are said as people do', () => {
  assert.deepEqual([0, 119_000, 120_000, 7_199_000, 7_200_000, 172_800_000].map(span), [
    '0 s',
    '119 s',
    '2 min',
    '120 min',
    '2 h',
    '2 days',
  ]);
});

test('queues are those of the ledger: the oldest first, by group, and nothing that is over', async (context) => {
  const { db } = await freshLedger(context);
  assert.deepEqual(queuesOf(db), []);
  const session = seedChat(db);
  const first = queueMessage(db, session, 'one');
  queueMessage(db, session, 'two');
  queueMessage(db, session, 'over');
  queueMessage(db, session, 'running');
  db.run("UPDATE inbound SET state = 'answered' WHERE id = ?", first + 2);
  db.run("UPDATE inbound SET state = 'running' WHERE id = ?", first + 3);
  db.run('UPDATE messages SET received_ms = 5 WHERE id = 1');
  queueOutbound(db, session.chat_id, ['out'], { session: session.id });
  const [sent] = queueOutbound(db, session.chat_id, ['of the host']);
  db.run('UPDATE outbound SET created_ms = 7 WHERE id = ?', sent!);
  const [host, group, ...more] = queuesOf(db);
  assert.deepEqual(more, []);
  assert.deepEqual(host, { group: '', queued: 0, oldest_queued_ms: null, leaving: 1, oldest_leaving_ms: 7 });
  assert.deepEqual([group!.group, group!.queued, group!.oldest_queued_ms, group!.leaving], ['assistant', 2, 5, 1]);
  assert.equal(oldestApproval(db), null);
});

test('a budget is what is in force beside what was used; the idle hour is asked for where there is one', async (context) => {
  const { db } = await freshLedger(context);
  seedChat(db);
  const used = { group: 'assistant', requests: 3, input_tokens: 10, output_tokens: 5, cost_micros: 250_000 };
  const force = (budget: object): void => {
    db.run('DELETE FROM authorities');
    const object = JSON.stringify({ budget });
    db.run(
      "INSERT INTO authorities (group_name, hash, object, image, controls, applied_by, applied_ms) VALUES ('assistant', 'h', ?, NULL, '[]', 'x', 1)",
      object,
    );
  };
  const ask = () => budgetsOf(db, ['assistant'], [used], async () => [{ ...used, cost_micros: 100_000 }]);
  force({});
  assert.deepEqual(await ask(), []);
  force({ usd_per_day: 1 });
  assert.deepEqual(await ask(), [
    { group: 'assistant', of: { usd_per_day: 1 }, used: { usd: 0.25, tokens: 15, requests: 3 }, idle_usd: null },
  ]);
  force({ usd_per_idle_hour: 1 });
  assert.equal((await ask())[0]!.idle_usd, 0.1);
});
