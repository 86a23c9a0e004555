import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  APPROVAL_LATE_MS,
  CLOCK_JUMP_MS,
  CRASHES_MAX,
  GATEWAY_AWAY_MS,
  TASK_FAILING,
} from '../../src/base/limits/alerts.ts';
import { MODEL_FAILS_MAX } from '../../src/base/limits/gateway.ts';
import { GIB, MIB } from '../../src/base/limits/units.ts';
import { levelsOf, type Seen, type Space, whyMute } from '../../src/evidence/watched.ts';
import { modelsOf } from '../../src/gateway/model_health.ts';
import type { AlertRow } from '../../src/ledger/alerts.ts';
import type { AuditRow } from '../../src/protocol/gateway.ts';

/** Which failures stand, by what is seen. */

const NOW = Date.UTC(2026, 5, 15, 12);
const ROOMY: Space = { bytes: 100 * GIB, bytes_free: 50 * GIB, files: 1e6, files_free: 5e5 };
const WELL: Seen = {
  ...{ now: NOW, gateway: { away_ms: null, losses: 0 }, said: { models: [], log: null }, host_log: null, cut: 0 },
  ...{ clock_set_ms: 0, disk: ROOMY, workspaces: [], overdue: { inbound: 0, outbound: 0 }, approvals: [], tasks: [] },
  ...{ guessed: [], slow: { runtime: 'bubblewrap', problems: [], groups: [], unheard: 0 }, laws: [] },
  groups: ['a'],
};

function standing(seen: Partial<Seen>): string[] {
  return levelsOf({ ...WELL, ...seen }).flatMap(({ kind, problems }) =>
    [...problems].map(([subject, text]) => {
      assert.match(text, /^\S.*(\.|show h\d+|log k\d+)$/, 'a sentence');
      return `${kind} ${subject}`;
    }),
  );
}

test('of what is well nothing stands', () => {
  assert.deepEqual(standing({}), []);
});

const disk = (bytes_free: number, more: Partial<Space> = {}): Partial<Seen> => ({
  disk: { ...ROOMY, bytes_free, ...more },
});
const waits = (minutes: number, of: number): Partial<Seen> => ({
  approvals: [{ id: 'h1', created_ms: NOW - minutes * 60_000, expires_ms: NOW + (of - minutes) * 60_000 }],
});
const task = (failures: number, state = 'active'): Partial<Seen> => ({ tasks: [{ id: 'k1', state, failures }] });
const model = (failures: number): Partial<Seen> => ({
  said: { models: [{ group: 'a', failures, reason: 'x' }], log: null },
});

/** What is seen, what stands then, and what is just not enough for it. */
const CASES: [kind: string, enough: Partial<Seen>, short: Partial<Seen>][] = [
  [
    'gateway.lost gateway',
    { gateway: { away_ms: GATEWAY_AWAY_MS, losses: 0 } },
    { gateway: { away_ms: 5, losses: 1 } },
  ],
  [
    'gateway.lost gateway',
    { gateway: { away_ms: null, losses: CRASHES_MAX } },
    { gateway: { away_ms: null, losses: 2 } },
  ],
  ['host.crashing host', { cut: CRASHES_MAX }, { cut: CRASHES_MAX - 1 }],
  ['disk.low home', disk(2 * GIB - 1), disk(2 * GIB)],
  ['disk.low home', disk(9 * MIB, { bytes: 100 * MIB }), disk(10 * MIB, { bytes: 100 * MIB })],
  ['disk.full home', disk(50 * GIB, { files_free: 10 }), disk(50 * GIB, { files: 0, files_free: 0 })],
  ['messages.overdue inbound', { overdue: { inbound: 1, outbound: 0 } }, {}],
  ['messages.overdue outbound', { overdue: { inbound: 0, outbound: 2 } }, {}],
  ['approval.waiting h1', waits(5, 10), waits(4, 10)],
  ['approval.waiting h1', waits(APPROVAL_LATE_MS / 60_000, 24 * 60), waits(59, 24 * 60)],
  ['task.failing k1', task(TASK_FAILING), task(TASK_FAILING - 1)],
  ['task.failing k1', task(TASK_FAILING), task(8, 'paused')],
  ['clock.jump clock', { clock_set_ms: -CLOCK_JUMP_MS }, { clock_set_ms: CLOCK_JUMP_MS - 1 }],
  ['log.failed host', { host_log: 'EACCES' }, {}],
  ['log.failed gateway', { said: { models: [], log: 'ENOSPC' } }, {}],
  ['model.failing a', model(MODEL_FAILS_MAX), model(MODEL_FAILS_MAX - 1)],
  [
    'workspace.full a',
    { workspaces: [{ group: 'a', space: { ...ROOMY, bytes: 100 * MIB, bytes_free: 4 * MIB } }] },
    { workspaces: [{ group: 'a', space: { ...ROOMY, bytes: 100 * MIB, bytes_free: 5 * MIB } }] },
  ],
  ['runtime.missing bubblewrap', { slow: { ...WELL.slow!, problems: ['bubblewrap is gone'] } }, { slow: null }],
  ['group.broken a', { slow: { ...WELL.slow!, groups: [{ name: 'a', problem: 'refused' }] } }, { slow: null }],
  ['delivery.unheard answers', { slow: { ...WELL.slow!, unheard: 1 } }, { slow: null }],
  ['ledger.violated laws', { laws: ['2 messages are in no state'] }, { laws: null }],
];

for (const [wanted, enough, short] of CASES) {
  test(`${wanted} stands with ${JSON.stringify(enough).slice(0, 60)}, and not with less`, () => {
    assert.deepEqual(standing(enough), [wanted]);
    assert.deepEqual(standing(short), []);
  });
}

test('a disk that is full is short as well', () => {
  assert.deepEqual(standing(disk(200 * MIB)), ['disk.full home', 'disk.low home']);
});

const alertOf = (kind: string, subject: string, at_ms = NOW): AlertRow => ({
  ...{ id: 1, kind, subject, text: '', count: 1, created_ms: at_ms, updated_ms: at_ms },
  ...{ cleared_ms: null, acked_ms: null, untold: 0 },
});

function isOver(kind: string, subject: string, seen: Partial<Seen>, at_ms = NOW): boolean {
  const found = levelsOf({ ...WELL, ...seen }).find((level) => level.kind === kind);
  return found !== undefined && !found.problems.has(subject) && found.over(alertOf(kind, subject, at_ms));
}

test('what was not looked at is not over', () => {
  for (const kind of ['runtime.missing', 'group.broken', 'delivery.unheard'])
    assert.deepEqual([isOver(kind, 'a', { slow: null }), isOver(kind, 'a', {})], [false, true], kind);
  assert.deepEqual(
    [isOver('ledger.violated', 'laws', { laws: null }), isOver('ledger.violated', 'laws', {})],
    [false, true],
  );
  assert.deepEqual([isOver('model.failing', 'a', { said: null }), isOver('model.failing', 'a', {})], [false, false]);
  assert.deepEqual([isOver('model.failing', 'a', model(1)), isOver('model.failing', 'a', model(0))], [false, true]);
  assert.deepEqual(standing({ ...model(9), groups: [] }), []);
  assert.ok(isOver('model.failing', 'a', { ...model(9), groups: [] }), 'of a group that is gone');
  assert.deepEqual(
    [isOver('log.failed', 'gateway', { said: null }), isOver('log.failed', 'gateway', {})],
    [false, true],
  );
  const mounted = { workspaces: [{ group: 'a', space: ROOMY }] };
  assert.deepEqual([isOver('workspace.full', 'a', {}), isOver('workspace.full', 'a', mounted)], [false, true]);
});

test('a paused task that runs again, an hour without guesses, a new day and an hour with a good clock are over', () => {
  assert.deepEqual(
    [isOver('task.paused', 'k1', task(8, 'paused')), isOver('task.paused', 'k1', task(0))],
    [false, true],
  );
  assert.deepEqual([isOver('pairing', 'chat', { guessed: ['chat'] }), isOver('pairing', 'chat', {})], [false, true]);
  assert.deepEqual([isOver('budget', 'x', {}, NOW), isOver('budget', 'x', {}, NOW - 48 * 3_600_000)], [false, true]);
  assert.deepEqual(
    [isOver('clock.jump', 'clock', {}), isOver('clock.jump', 'clock', {}, NOW - 3_700_000)],
    [false, true],
  );
});

test('there is no sign of life while no message could be answered', () => {
  assert.equal(whyMute(WELL, [], true), null);
  assert.match(whyMute({ ...WELL, gateway: { away_ms: 1, losses: 1 } }, [], true)!, /gateway/);
  assert.match(whyMute(WELL, [], false)!, /ledger/);
  assert.match(whyMute({ ...WELL, ...disk(MIB) } as Seen, [], true)!, /disk/);
  assert.match(whyMute(WELL, ['bubblewrap is gone'], true)!, /bubblewrap/);
});

const row = (
  group: string,
  decision: AuditRow['decision'],
  status: number | null,
  more: Partial<AuditRow> = {},
): AuditRow => ({
  ...{ id: 1, session: 's1', group, at_ms: 1, ended_ms: 2, method: 'POST', host: 'api.example.com', path: '/' },
  ...{ decision, rule: 'upstream', status, secret: null, service: null, model: null, request_bytes: 0 },
  ...{ response_bytes: 0, input_tokens: null, output_tokens: null, cost_micros: 0, ...more },
});

test('requests to a model that failed one after the other are counted from the newest on, by group', () => {
  const bad = row('a', 'error', 502);
  const counted = (rows: AuditRow[]): number | undefined => modelsOf(rows)[0]?.failures;
  assert.equal(counted([bad, bad, bad]), 3);
  assert.equal(counted([row('a', 'allow', 200), bad, bad]), 2);
  assert.equal(counted([bad, bad, row('a', 'allow', 200)]), 0);
  for (const status of [401, 403, 408, 429, 500, 529])
    assert.equal(counted([row('a', 'allow', status)]), 1, `${status}`);
  // What an agent asked wrongly has been answered.
  for (const status of [200, 400, 404, 413]) assert.equal(counted([bad, row('a', 'allow', status)]), 0, `${status}`);
  // Refused by us, still running, given up by the agent, or of a service: nothing is known.
  const nothing = [row('a', 'deny', 402), row('a', 'error', 502, { ended_ms: null }), row('a', 'allow', null)];
  assert.equal(counted([bad, ...nothing, row('a', 'error', 502, { service: 'github' })]), 1);
  assert.deepEqual(
    modelsOf([bad, row('b', 'allow', 200)]).map(({ group, failures }) => [group, failures]),
    [
      ['b', 0],
      ['a', 1],
    ],
  );
  assert.equal(modelsOf([bad])[0]!.reason, 'api.example.com: upstream');
});
