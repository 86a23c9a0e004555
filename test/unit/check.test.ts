import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { pathsOf } from '../../src/base/paths.ts';
import { hasEnded, pidOf, supervisorOf } from '../../src/cli/check/processes.ts';
import { documentOf } from '../../src/evidence/check/document.ts';
import { newestReport, reportsFolder } from '../../src/evidence/check/newest.ts';
import { brokenPath } from '../../src/evidence/check/path.ts';
import { htmlOf, markdownOf } from '../../src/evidence/check/render.ts';
import { type CheckReport, type Claim, stateOf } from '../../src/evidence/check/report.ts';
import { watchTurns } from '../../src/evidence/failing.ts';
import type { TraceStep } from '../../src/evidence/trace_steps.ts';
import { recordEvent } from '../../src/ledger/events.ts';
import { beginTurn, failAttempt, settleTurn } from '../../src/ledger/turns.ts';
import { until } from '../fakes/install.ts';
import { freshLedger, queueMessage, seedChat, temporaryFolder } from '../fakes/ledger_kit.ts';

/** What `glass check` judges by, and what it writes. */

const WHOLE = [
  ...['message.received', 'message.admitted', 'message.routed', 'message.queued', 'sandbox.starting', 'sandbox.ready'],
  ...[
    'turn.started',
    'turn.taken',
    'model.request',
    'turn.settled',
    'reply.queued',
    'delivery.sending',
    'delivery.sent',
  ],
];

function steps(kinds: readonly string[]): Pick<TraceStep, 'kind' | 'where' | 'at_us'>[] {
  return kinds.map((kind, at) => ({ kind, where: kind === 'model.request' ? 'gateway' : 'host', at_us: at * 10_000 }));
}

const without = (kind: string): string[] => WHOLE.filter((each) => each !== kind);

test('a whole path holds, with and without the start of a sandbox, and with steps of other kinds between', () => {
  assert.equal(brokenPath(steps(WHOLE), 1), null);
  assert.equal(brokenPath(steps(WHOLE.filter((kind) => !kind.startsWith('sandbox.'))), 1), null);
  assert.equal(brokenPath(steps([...WHOLE.slice(0, 7), 'turn.context', ...WHOLE.slice(7)]), 1), null);
});

for (const kind of WHOLE.filter((each) => !/^(sandbox|model)\./.test(each))) {
  test(`a path without ${kind} is broken, and so is one that has it twice`, () => {
    assert.equal(brokenPath(steps(without(kind)), 1), `${kind} is missing`);
    assert.equal(brokenPath(steps([...WHOLE, kind]), 1), `${kind} is there 2 times`);
  });
}

test('a path in another order is broken', () => {
  const swapped = without('turn.taken').flatMap((kind) => (kind === 'turn.settled' ? [kind, 'turn.taken'] : [kind]));
  assert.equal(brokenPath(steps(swapped), 1), 'turn.taken comes after turn.settled');
  assert.match(brokenPath(steps([...without('sandbox.ready'), 'sandbox.ready']), 1)!, /comes after/);
});

test('each request at the gateway is counted, and lies in its turn', () => {
  assert.match(brokenPath(steps(without('model.request')), 1)!, /recorded 0 requests, not 1/);
  assert.match(brokenPath(steps([...WHOLE, 'model.request']), 1)!, /recorded 2 requests, not 1/);
  assert.match(brokenPath(steps([...without('model.request'), 'model.request']), 1)!, /outside of its turn/);
  assert.match(brokenPath(steps(['model.request', ...without('model.request')]), 1)!, /outside of its turn/);
});

const claim = (state: Claim['state'], seen = ''): Claim => ({ what: 'it holds', state, seen, ms: 1, evidence: ['m1'] });

test('a report has passed when something held and nothing failed', () => {
  const check = (...claims: Claim[]) => [{ check: 'recovery' as const, ms: 1, claims, guards: [] }];
  assert.equal(stateOf([]), 'failed');
  assert.equal(stateOf(check(claim('not tested'))), 'failed');
  assert.equal(stateOf(check(claim('held'), claim('failed'))), 'failed');
  assert.equal(stateOf(check(claim('held'), claim('not tested'))), 'passed');
});

const HOSTILE =
  '</td><script>alert(1)</script> | [x](javascript:1) `a` \u001b[31m\u202e"\'&<img src=x onerror=1>\n# head';

function hostileReport(): CheckReport {
  const evil: Claim = { ...claim('failed', HOSTILE), what: HOSTILE, evidence: [HOSTILE] };
  const probe = {
    id: HOSTILE,
    group: 'identity' as const,
    what: HOSTILE,
    state: 'passed' as const,
    expected: HOSTILE,
    seen: HOSTILE,
  };
  const guards = [{ group: HOSTILE, authority: HOSTILE, profile: HOSTILE, probes: [probe] }];
  return {
    ...{ state: 'failed', at: '2026-01-02T03:04:05.678Z', ms: 1, facts: [{ label: HOSTILE, value: HOSTILE }] },
    ...{ authorities: [{ group: HOSTILE, hash: HOSTILE }], warnings: [HOSTILE] },
    checks: [{ check: 'privilege', ms: 1, claims: [evil, claim('not tested', HOSTILE)], guards }],
  };
}

test('what came out of a sandbox stays text in the HTML of a report, which may load nothing', () => {
  const html = htmlOf(documentOf(hostileReport()));
  assert.doesNotMatch(html, /<script|<img|onerror=1>|[\u001b\u202e]/);
  assert.ok(html.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
  assert.match(
    html,
    /http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'/,
  );
  const tags = new Set([...html.matchAll(/<\/?([a-z0-9]+)/g)].map(([, tag]) => tag));
  const known = [
    'html',
    'head',
    'meta',
    'title',
    'style',
    'body',
    'h1',
    'h2',
    'p',
    'ul',
    'li',
    'table',
    'tr',
    'th',
    'td',
  ];
  assert.deepEqual(
    [...tags].filter((tag) => !known.includes(tag!)),
    [],
  );
});

test('and in its Markdown: no markup, and no cell more than the table has', () => {
  const markdown = markdownOf(documentOf(hostileReport()));
  assert.doesNotMatch(markdown, /(?<!\\)<script|(?<!\\)\[x|(?<!\\)`a|^# head|[\u001b\u202e]/m);
  for (const row of markdown.split('\n').filter((line) => line.includes('it holds')))
    if (row.startsWith('|')) assert.equal(row.split(/(?<!\\)\|/).length, 7, row);
});

test('the newest report is found by its name, and read by its first words', (context) => {
  const home = temporaryFolder(context);
  assert.equal(newestReport(home), null);
  mkdirSync(reportsFolder(home));
  const put = (name: string, text: string): void => writeFileSync(join(reportsFolder(home), name), text);
  put('check-2026-01-02T03-04-05Z.json', JSON.stringify(hostileReport()));
  put('check-2026-01-01T03-04-05Z.json', '{"state":"passed","at":"2026-01-01T03:04:05.000Z"}');
  put('other.json', '{}');
  const path = join(reportsFolder(home), 'check-2026-01-02T03-04-05Z');
  assert.deepEqual(newestReport(home), { state: 'failed', at: '2026-01-02T03:04:05.678Z', path });
  put('check-2026-02-01T03-04-05Z.json', 'half a rep');
  assert.equal(newestReport(home), null, 'one that cannot be read is not taken for another');
});

/** Turns of a group that end, each after its commit, and what is told of them. */
async function endedTurns(context: Parameters<typeof freshLedger>[0], ends: ('failed' | 'answered' | 'died')[]) {
  const ledger = await freshLedger(context);
  const session = await ledger.write('kit', (db) => seedChat(db));
  const told: string[] = [];
  watchTurns(ledger, {
    alert: (kind, subject, text) => told.push(`${kind} ${subject}: ${text}`),
    clear: (kind, subject) => told.push(`over: ${kind} ${subject}`),
  });
  for (const end of ends) {
    await ledger.write('kit', (db) => {
      const now = systemClock.now();
      queueMessage(db, session, 'hello');
      const turn = beginTurn(db, now, session.id, 'probe')!;
      const links = { session: session.id, turn: turn.id };
      if (end === 'died') {
        const { next } = failAttempt(db, now, turn.id, 'its sandbox ended')!;
        return recordEvent(db, systemClock, 'turn.attempt_failed', links, { attempt: 1, reason: '', next });
      }
      const taken = turn.messages.map(({ inbound_id }) => inbound_id);
      const reason = end === 'failed' ? 'no\u001b[2J model' : '';
      settleTurn(db, now, { turnId: turn.id, attempt: turn.attempt, outcome: end, reason, taken });
      recordEvent(db, systemClock, 'turn.settled', links, { outcome: end, taken: 1, returned: 0 });
    });
  }
  return told;
}

test('three failed turns of a group in a row are an alert, until one of them does not fail', async (context) => {
  const told = await endedTurns(context, ['failed', 'failed', 'answered', 'failed', 'failed', 'failed', 'answered']);
  const over = 'over: turns.failing assistant';
  assert.equal(told.length, 3);
  assert.deepEqual([told[0], told[2]], [over, over]);
  assert.match(told[1]!, /^turns\.failing assistant: The turns of assistant fail: no/);
  assert.ok(!told[1]!.includes('\u001b'));
});

test('a turn that was given up after three deaths counts once, as it has an alert of its own', async (context) => {
  const givenUp = ['died', 'died', 'died'] as const;
  assert.deepEqual(await endedTurns(context, [...givenUp, 'failed']), []);
  assert.match((await endedTurns(context, [...givenUp, 'failed', 'failed'])).join(), /^turns\.failing assistant/);
});

test('a pid file names a process only if that is the program: what else has the number is left alone', (context) => {
  const paths = { ...pathsOf(temporaryFolder(context), {}), run: temporaryFolder(context) };
  const write = (text: string): void => writeFileSync(join(paths.run, 'host.pid'), text);
  assert.equal(pidOf(paths, 'host'), null);
  for (const text of [`${process.pid}\n`, '1\n', '0', '-1', 'nonsense', '999999999']) {
    write(text);
    assert.equal(pidOf(paths, 'host'), null, text);
    assert.equal(supervisorOf(paths), null, text);
  }
  const host = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'src/host.ts'], { stdio: 'ignore' });
  context.after(() => host.kill('SIGKILL'));
  write(`${host.pid}\n`);
  assert.equal(pidOf(paths, 'host'), host.pid);
  assert.equal(supervisorOf(paths), null, 'a test is nobody who starts it again');
});

test('a process has ended when it runs no more, though its parent has not heard of it', async (context) => {
  const parent = spawn('sh', ['-c', 'sleep 0.01 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  context.after(() => parent.kill('SIGKILL'));
  const [line] = await once(parent.stdout!, 'data');
  await until('it is a zombie', async () => assert.ok(hasEnded(Number(line))));
  assert.doesNotThrow(() => process.kill(Number(line), 0), 'its number is still taken');
  assert.equal(hasEnded(parent.pid!), false);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  assert.equal(hasEnded(parent.pid!), true);
});
