import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, before, test } from 'node:test';
import type { LoggedRequest } from '../../src/evidence/egress_log.ts';
import type { Verified } from '../../src/evidence/verify.ts';
import type { Anchor } from '../../src/protocol/gateway.ts';
import { ask as askGateway, GatewayProcess } from '../fakes/gateway_process.ts';
import { until } from '../fakes/install.ts';
import { PatchedTree } from '../fakes/patched_tree.ts';
import { ask, type ScriptedInstall, scriptedInstall } from '../fakes/scripted_group.ts';

/** The record of what groups asked for: shown with turns, checked against the ledger, and what shows that it was changed. */
const LIMITS = 'limits: {memory: 1GiB}\n';

let made: ScriptedInstall;

before(async () => {
  made = await scriptedInstall('');
  const chat = await made.terminal('main');
  await ask(chat, 'hello');
  await ask(chat, 'hello again');
});
afterEach((context) => made.install.explain(context));
after(() => made.stop());

function glass<T>(...words: string[]): { status: number | null; found: T; err: string } {
  const { status, stdout, stderr } = made.install.glass(...words, '--json');
  return { status, found: stdout === '' ? (null as T) : JSON.parse(stdout), err: stderr };
}

/** A session's end writes the head of the chain into the ledger. */
async function endSession(): Promise<void> {
  await made.install.change('assistant', made.yaml(LIMITS));
  await until('an anchor', async () => {
    const { found } = glass<Verified>('events', 'verify');
    assert.ok(found.anchors >= 1);
  });
}

/** What somebody does who can write the file while no gateway holds it. */
async function behindItsBack(sql: string): Promise<void> {
  await made.install.end('gateway', 'SIGTERM');
  const db = new DatabaseSync(made.install.paths.audit);
  db.exec(sql);
  db.close();
  made.install.spawn('gateway');
  await made.install.ready();
}

test('each request is shown with the turn that made it, of all groups or of one', () => {
  const { status, found } = glass<{ rows: LoggedRequest[] }>('egress', 'log', '--since', '1h');
  assert.equal(status, 0);
  assert.deepEqual(
    found.rows.map(({ group, session, turn, decision, status: answer, secret }) => [
      group,
      session,
      turn,
      decision,
      answer,
      secret,
    ]),
    [
      ['assistant', 's1', 't1', 'allow', 200, 'anthropic'],
      ['assistant', 's1', 't2', 'allow', 200, 'anthropic'],
    ],
  );
  assert.equal(glass<{ rows: unknown[] }>('egress', 'log', 'assistant', '--limit', '1').found.rows.length, 1);
  assert.deepEqual(glass<{ rows: unknown[] }>('egress', 'log', 'other').found.rows, []);
  const text = made.install.glass('egress', 'log').stdout;
  assert.match(text, /^\d{4}-\S+Z {2}assistant s1 t1 {2}allow 200 {2}POST 127\.0\.0\.1:\d+\/v1\/messages {2}/);
  for (const wrong of [['--since', 'yesterday'], ['--limit', 'all'], ['a', 'b'], ['--since']]) {
    const { status: code, err } = glass('egress', 'log', ...wrong);
    assert.equal(code, 2, wrong.join(' '));
    assert.match(err, /usage: glass egress/);
  }
});

test('the record is whole, and a change of it is found', async () => {
  await endSession();
  const whole = glass<Verified>('events', 'verify');
  assert.deepEqual([whole.status, whole.found.broken], [0, null]);
  assert.ok(whole.found.links >= 4 && whole.found.heads >= 1, JSON.stringify(whole.found));
  assert.match(
    made.install.glass('events', 'verify').stdout,
    /^holds: \d+ events, \d+ links of requests\n\d+ heads of requests are/,
  );

  await behindItsBack("UPDATE requests SET path = '/v1/harmless' WHERE id = (SELECT min(id) FROM requests)");
  const changed = glass<Verified>('events', 'verify');
  assert.equal(changed.status, 1);
  assert.match(changed.found.broken!, /^requests of the gateway: link \d+ \(row \d+\) does not fit/);
  await behindItsBack('DELETE FROM requests; DELETE FROM heads');
  assert.match(glass<Verified>('events', 'verify').found.broken!, /its end was cut off|two links/);
});

test('what an edited file would change of egress is shown, and nothing else of it', () => {
  assert.match(made.install.glass('egress', 'diff', 'assistant').stdout, /nothing would change/);
  const rules = 'egress:\n  api: {host: api.example.com, allow: [GET /items]}\nlimits: {memory: 512MiB}\n';
  made.install.group('assistant', made.yaml(rules));
  const { found } = glass<{ changes: { kind: string; words: string }[] }>('egress', 'diff', 'assistant');
  assert.deepEqual(
    found.changes.map(({ kind, words }) => `${kind} ${words}`),
    ['gains egress GET api.example.com/items'],
  );
});

for (const [when, patches] of [
  ['when a session opens', []],
  ['while requests are made', [['src/base/limits/gateway.ts', 'AUDIT_ANCHOR_MS = MINUTE_MS', 'AUDIT_ANCHOR_MS = 50']]],
] as const) {
  test(`the head of the chain goes to the host ${when}`, async (context) => {
    using tree = new PatchedTree(patches);
    const gateway = new GatewayProcess({}, tree.root);
    context.after(() => gateway.dispose());
    await gateway.start();
    const anchors: Anchor[] = [];
    const host = await gateway.host((event) => {
      if ((event as { event: string }).event === 'anchor') anchors.push(event as Anchor);
    });
    const policy = gateway.group('assistant', 'harness: probe\n');
    const socket = await gateway.open(host, 's1', 'assistant', policy);
    assert.equal((await askGateway(socket, '/nothing')).status, 403);
    if (patches.length === 0) await gateway.open(host, 's2', 'assistant', policy);
    await until('an anchor', async () => assert.equal(anchors.at(-1)?.seq, 2));
  });
}
