import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { ApprovalShown } from '../../src/approvals/approvals.ts';
import { ROOT } from '../../src/base/paths.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import { until } from '../fakes/install.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { Talk } from '../fakes/talk.ts';
import { bearerFor, namesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';
import { requireHarness } from '../kits/harness_bench.ts';

/**
 * curl in a real sandbox asks for what must be approved; people decide on a platform with direct chats and buttons. The agent
 * works in chats of Bob, a member; Alma administers its group, Olga everything.
 */

const BODY = 'title=the-secret-plan';
const authority = new TestAuthority();
const api = new Upstream('api.example.com', authority);
const folder = mkdtempSync(join(tmpdir(), 'ga-'));
const skip = spawnSync('curl', ['--version']).status !== 0 && 'no curl here';
const talk = await Talk.make(ROOT, namesEnv({ [api.host]: ['127.0.0.1'] }));
const { install } = talk;
let model: FakeModel;

before(async () => {
  await requireHarness('native');
  await api.listen();
  model = await startModel();
  await prepare(talk);
});
afterEach((context) => install.explain(context));
beforeEach(() => {
  api.received.length = 0;
  api.handler = (_request, response) => void response.end('made');
});
after(async () => {
  await talk.end();
  await model?.close();
  await api.close();
  rmSync(folder, { recursive: true });
});

/** The group, its people and the secret, on a home that has not been started. */
async function prepare(on: Talk): Promise<void> {
  on.install.install(`upstream_ca: ${authority.write(folder)}\n`);
  on.install.group(
    'assistant',
    `harness: native
model: {upstream: "${model.origin}"}
secrets: [api-token]
egress:
  api: {host: api.example.com, port: ${api.port}, private: [127.0.0.0/8], use: api-token, approve: [POST /pulls]}
`,
  );
  await on.install.start();
  await on.install.secret('anthropic', 'sk-scripted-0123456789');
  await on.install.secret('api-token', 'fake-token-of-the-operator', bearerFor(api.place));
  await on.known('alma', 'admin', 'assistant');
  await on.known('bob', 'member', 'assistant');
  await on.known('olga', 'owner');
}

/** Bob has the agent ask, in a chat of his; resolves with the card that Alma is shown. */
async function asked(chat: string, on = talk) {
  await on.wire(chat, 'assistant');
  const before_ = (await on.sent('dm-alma')).length;
  const command = `curl -sS -X POST -d '${BODY}' https://${api.place}/pulls; echo " $?"`;
  const message = await on.say(chat, 'bob', `tool bash ${JSON.stringify({ command })}`);
  const { text, buttons } = await on.hears('dm-alma', /^h\d+: assistant asks to send this/, before_);
  const id = /^h\d+/.exec(text)![0];
  const code = /approve ([0-9a-f]{4})/.exec(text)![1]!;
  return { id, code, text, message, token: (label: string) => buttons!.find((one) => one.label === label)!.token };
}

function ends(id: string, on = talk): Promise<[string, string]> {
  return until(`${id} ends`, async () => {
    const { state, reason } = await on.call<ApprovalShown>('approval_show', { approval: id });
    assert.ok(state !== 'pending' && state !== 'approved');
    return [state, reason];
  });
}

test('/approve lists what waits, and with its code lets it leave', { skip }, async () => {
  const card = await asked('commands');
  await talk.say('dm-alma', 'alma', '/approve');
  await talk.hears('dm-alma', new RegExp(`^${card.id}: assistant asks to send POST .*\\n {2}approve ${card.code}\\n`));
  await talk.say('dm-alma', 'alma', `/approve@our_bot ${card.code}`);
  await talk.hears('commands', /made 0/);
  assert.deepEqual(await ends(card.id), ['done', '']);
});

test('a press of the admin lets it leave once; only the admin has seen the body, and the trace says who and where', {
  skip,
}, async () => {
  const card = await asked('team');
  assert.match(card.text, new RegExp(`method: POST\nhost: ${api.place}\npath: /pulls\n`));
  assert.ok(card.text.endsWith(`Its whole body:\n| ${BODY}`));
  assert.equal(api.received.length, 0);
  await talk.press('dm-alma', 'alma', card.token('Approve'));
  await talk.hears('team', /made 0/);
  await talk.hears('dm-alma', new RegExp(`^${card.id}: approved\\.$`));
  assert.deepEqual(await ends(card.id), ['done', '']);
  await talk.press('dm-alma', 'alma', card.token('Approve'));
  await talk.hears('dm-alma', /does not wait any more: alma approved it/);
  assert.deepEqual(
    api.received.map(({ method, target, body }) => [method, target, body.toString()]),
    [['POST', '/pulls', BODY]],
  );
  for (const chat of ['team', 'dm-bob', 'dm-olga'])
    for (const { text } of await talk.sent(chat)) assert.ok(!text.includes(BODY), `${chat}: ${text}`);
  assert.deepEqual((await talk.call<{ alerts: object[] }>('status')).alerts, []);
  const { steps } = await talk.call<Trace>('trace', { message: card.message });
  const decided = steps.find(({ kind }) => kind === 'approval.decided')!;
  assert.deepEqual([decided.data['by'], decided.data['where']], ['alma', 'platform:dm-alma']);
});

test('a member presses and writes the code: nothing; then the owner denies it in the same chat, and Alma hears who', {
  skip,
}, async () => {
  const card = await asked('office');
  const no = `Only an admin or an owner decides about ${card.id}.`;
  await talk.settles(
    await talk.press('dm-alma', 'bob', card.token('Approve')),
    'answered: a decision that was refused',
  );
  await talk.settles(await talk.say('office', 'bob', `approve ${card.code}`), 'answered: a decision that was refused');
  assert.equal((await talk.hears('office', /Only an admin/)).text, no);
  await talk.say('office', 'olga', `deny ${card.code}`);
  await talk.hears('office', /a person denied it/);
  await talk.hears('dm-alma', new RegExp(`^${card.id}: denied \\(olga decided\\)\\.$`));
  assert.equal(api.received.length, 0);
});

test('two approvers at once: one decides, the other is told who', { skip }, async () => {
  const card = await asked('both');
  await Promise.all([
    talk.press('dm-alma', 'alma', card.token('Approve')),
    talk.say('dm-olga', 'olga', `deny ${card.code}`),
  ]);
  const [state] = await ends(card.id);
  assert.ok(state === 'done' || state === 'denied');
  const [late, first] = state === 'done' ? ['dm-olga', 'alma approved'] : ['dm-alma', 'olga denied'];
  await talk.hears(late, new RegExp(`^${card.id} does not wait any more: ${first} it\\.$`));
  await talk.hears('both', state === 'done' ? /made 0/ : /a person denied it/);
  assert.equal(api.received.length, state === 'done' ? 1 : 0);
});

test('a host that is killed while it waits refuses it, and the next one says so where the card is', {
  skip,
}, async () => {
  const card = await asked('killed');
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await talk.hears('dm-alma', new RegExp(`^${card.id} is over, and nothing was sent: the host restarted\\.$`));
  await talk.press('dm-alma', 'alma', card.token('Approve'));
  await talk.hears('dm-alma', new RegExp(`^${card.id} does not wait any more: the host restarted\\.$`));
  assert.equal(api.received.length, 0);
});

test('what nobody decides is refused after its time, and where it was asked a line says so', { skip }, async () => {
  const shorter: Patch = ['src/base/limits/gateway.ts', 'APPROVAL_MS = 10 * MINUTE_MS', 'APPROVAL_MS = 2 * SECOND_MS'];
  using tree = new PatchedTree([shorter], ['native']);
  const hasty = await Talk.make(tree.root, namesEnv({ [api.host]: ['127.0.0.1'] }));
  try {
    await prepare(hasty);
    const card = await asked('slow', hasty);
    await hasty.hears('slow', /nobody decided in time/);
    const over = `^${card.id} is over, and nothing was sent: nobody decided in time\\.$`;
    await hasty.hears('dm-alma', new RegExp(over));
    await hasty.press('dm-alma', 'alma', card.token('Approve'));
    await hasty.hears('dm-alma', /does not wait any more: nobody decided in time/);
    assert.deepEqual(await ends(card.id, hasty), ['expired', 'nobody decided in time']);
    assert.equal(api.received.length, 0);
  } finally {
    await hasty.end();
  }
});
