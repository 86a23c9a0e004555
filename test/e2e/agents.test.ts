import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import type { QuestionShown } from '../../src/approvals/desk.ts';
import { AGENT_HOPS_MAX, WISHES_PENDING_MAX } from '../../src/base/limits/talk.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import type { GroupShown } from '../../src/operations/groups.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';

/**
 * Agents that write to one another, on a real host with real sandboxes: `front` may write to `back` at once and to `vault` after
 * approval, `back` may write to `front`. Bob talks to them, Alma administers `front`, Ada everything.
 */

const YAML = 'harness: probe\nlimits: {idle: 60s}\n';
const FRONT = `${YAML}agents: {back: allow, vault: approve}\n`;
const talk = await Talk.make();
const { install } = talk;

before(async () => {
  install.group('assistant', YAML);
  await install.start();
  for (const [name, yaml] of [
    ['back', `${YAML}agents: {front: allow}\n`],
    ['vault', YAML],
    ['front', FRONT],
  ] as const)
    await install.change(name, yaml);
  await talk.known('bob', 'member');
  await talk.known('alma', 'admin', 'front');
  await talk.known('ada', 'admin');
});
afterEach((context) => install.explain(context));
after(() => talk.end());

/** A chat in which Bob talks to `front`. */
async function chat(name: string): Promise<(text: string) => Promise<string>> {
  await talk.wire(name, 'front');
  return (text) => talk.say(name, 'bob', text);
}

const asked = async (id: string): Promise<string> =>
  (await talk.call<QuestionShown>('approval_show', { approval: id })).state;

async function card(to: string, from: number) {
  const { text, buttons } = await talk.hears(to, /^h\d+: the agent front wants to write/, from);
  return {
    id: /^h\d+/.exec(text)![0],
    text,
    token: (label: string) => buttons!.find((one) => one.label === label)!.token,
  };
}

test('a message goes to another agent, its answer comes back to where it was asked, and the trace follows', async () => {
  const say = await chat('one');
  await say('destinations');
  assert.match(
    (await talk.hears('one', /list|agent:back/)).text,
    /"to":"agent:back","title":"the agent back","here":false/,
  );
  const message = await say('tell agent:back hello over there');
  await talk.hears('one', /ok: \{"id":"o\d+"\}/);
  await talk.hears('one', /You said: .*You said: hello over there/s);
  const { steps } = await until('the whole path is there', async () => {
    const trace = await talk.call<Trace>('trace', { message });
    assert.ok(trace.steps.filter(({ kind }) => kind === 'turn.settled').length === 3);
    return trace;
  });
  const said = steps.filter(({ kind }) => kind === 'agent.said').map(({ data }) => [data['from'], data['hops']]);
  assert.deepEqual(said, [
    ['front', 1],
    ['back', 2],
  ]);
  assert.deepEqual(
    steps.map(({ at_us }) => at_us),
    steps.map(({ at_us }) => at_us).sort((a, b) => a - b),
  );
  assert.ok(
    steps.some(({ kind, message }) => kind === 'delivery.sent' && message !== null),
    'the last answer too',
  );
  const why = (await sayWhy('one', say)).text;
  assert.equal(why.match(/attempt \d/g)?.length, 1, `what the other agent did is not told: ${why}`);
});

async function sayWhy(chat: string, say: (text: string) => Promise<string>) {
  const from = (await talk.sent(chat)).length;
  await say('/why');
  return talk.hears(chat, /More: \.\/glass trace/, from);
}

test('a file goes to another agent with its text, byte for byte', async () => {
  await talk.wire('files', 'front');
  const data = Buffer.from('the plan of bob\n');
  const sha256 = createHash('sha256').update(data).digest('hex');
  await talk.say('files', 'bob', 'files', { files: [{ name: 'plan.txt', data }] });
  const { text } = await talk.hears('files', new RegExp(`^/inbox/m\\d+/plan\\.txt text/plain .* ${sha256}$`, 'm'));
  const from = (await talk.sent('files')).length;
  const path = /\/inbox\/m\d+\/plan\.txt/.exec(text)![0];
  await talk.say('files', 'bob', `file agent:back ${path} files`);
  const there = `/inbox/m\\d+/plan\\.txt text/plain ${data.length} ${sha256}`;
  const answer = await talk.hears('files', new RegExp(`You said: .*${there}`, 's'), from);
  assert.ok(!answer.text.includes(path), 'it lies in an inbox of the other one');
});

test('each conversation has one of its own with the other agent', async () => {
  const [left, right] = [await chat('left'), await chat('right')];
  await left('tell agent:back from the left');
  await right('tell agent:back from the right');
  await talk.hears('left', /You said: from the left/);
  await talk.hears('right', /You said: from the right/);
  const all = JSON.stringify([await talk.sent('left'), await talk.sent('right')]);
  assert.equal(all.split('from the left').length, all.split('from the right').length);
  assert.ok(!JSON.stringify(await talk.sent('left')).includes('right'));
});

test('only destinations that its authority names are there, and what is taken from it is gone at once', async () => {
  const say = await chat('three');
  await say('tell agent:assistant hello');
  await talk.hears('three', /refused: "agent:assistant" is not a destination/);
  await say('tell agent:front hello');
  await talk.hears('three', /refused: "agent:front" is not a destination/);
  await install.change('front', `${YAML}agents: {vault: approve}\n`);
  await say('tell agent:back hello');
  await talk.hears('three', /refused: "agent:back" is not a destination/);
  await install.change('front', FRONT);
  await say('tell agent:back again');
  await talk.hears('three', /You said: again/);
});

test('two agents that write to each other come to an end', async () => {
  const say = await chat('four');
  let text = 'too far';
  for (let hop = AGENT_HOPS_MAX; hop >= 0; hop -= 1) text = `tell agent:${hop % 2 === 0 ? 'back' : 'front'} ${text}`;
  await say(text);
  await until('the last one is refused', async () => {
    const results = talk.events('tool.called').map(({ summary }) => String(summary));
    assert.ok(results.some((one) => one.includes(`it has come through ${AGENT_HOPS_MAX} agents already`)));
  });
  assert.equal(talk.count(`SELECT max(hops) AS n FROM messages`), AGENT_HOPS_MAX);
  await talk.call('status');
});

test('after approval only: shown whole, passed on once, by the admin of the group that writes', async () => {
  const say = await chat('five');
  const from = (await talk.sent('dm-alma')).length;
  await say('tell agent:vault the whole\nmessage');
  await talk.hears('five', /A person is asked before it is passed on/);
  const { id, text, token } = await card('dm-alma', from);
  assert.match(text, /wants to write to the agent vault, while it answers in five/);
  assert.match(text, /\| the whole\n\| message\n/);
  await say('/resume');
  await talk.hears('five', /Nothing is held back here/);
  assert.equal(talk.count("SELECT count(*) AS n FROM messages WHERE text LIKE 'the whole%' AND origin = 'agent'"), 0);
  await talk.press('dm-alma', 'bob', token('Approve'));
  assert.equal(await asked(id), 'pending');
  await talk.press('dm-alma', 'alma', token('Approve'));
  await talk.press('dm-alma', 'alma', token('Approve'));
  await talk.hears('five', /You said: .*You said: the whole\nmessage/s);
  assert.equal(talk.count("SELECT count(*) AS n FROM messages WHERE text LIKE 'the whole%' AND origin = 'agent'"), 1);
});

test('so many texts of a group wait, and not one more', async () => {
  const say = await chat('waiting');
  const from = (await talk.sent('dm-alma')).length;
  for (let i = 0; i < WISHES_PENDING_MAX; i += 1) await say(`tell agent:vault ${i}`);
  await say('tell agent:vault too many');
  await talk.hears('waiting', /refused: 3 messages wait already/);
  await until('the cards are there', async () => {
    const cards = (await talk.sent('dm-alma')).slice(from).filter(({ text }) => text.includes('wants to write'));
    assert.equal(cards.length, WISHES_PENDING_MAX);
    for (const { buttons } of cards)
      await talk.press('dm-alma', 'alma', buttons!.find(({ label }) => label === 'Deny')!.token);
  });
});

test('/stop reaches what was set going in another agent; a person’s answer is not to be had there', async () => {
  const say = await chat('stopped');
  await say('tell agent:back ask what now?');
  await talk.hears('stopped', /You said: .*refused: no person reads here/s);
  await say('tell agent:back sleep 60');
  await until('the other one works', async () =>
    assert.equal(
      talk.count(
        "SELECT count(*) AS n FROM turns t JOIN sessions s ON s.id = t.session_id WHERE s.group_name = 'back' AND t.state = 'running'",
      ),
      1,
    ),
  );
  await say('/stop');
  await until('it is stopped', async () =>
    assert.equal(
      talk.count(
        "SELECT count(*) AS n FROM turns t JOIN sessions s ON s.id = t.session_id WHERE s.group_name = 'back' AND t.state = 'cancelled'",
      ),
      1,
    ),
  );
});

test('denied, it is never passed on, and the agent hears of it; so it is when its turn was stopped', async () => {
  const say = await chat('six');
  let from = (await talk.sent('dm-alma')).length;
  await say('tell agent:vault no');
  const denied = await card('dm-alma', from);
  await talk.press('dm-alma', 'alma', denied.token('Deny'));
  await say('and now');
  await talk.hears('six', new RegExp(`notice: Your request ${denied.id} was denied`));
  from = (await talk.sent('dm-alma')).length;
  await say('tell agent:vault later');
  const expired = await card('dm-alma', from);
  await install.change('front', `${YAML}agents: {back: allow}\n`);
  await talk.press('dm-alma', 'alma', expired.token('Approve'));
  await talk.hears('dm-alma', /Nothing was done about h\d+: front may not write to vault any more/);
  await install.change('front', FRONT);
  assert.equal(talk.count("SELECT count(*) AS n FROM outbound WHERE state = 'held'"), 0);
  assert.equal(talk.count("SELECT count(*) AS n FROM messages WHERE text IN ('no', 'later') AND origin = 'agent'"), 0);
});

test('an answer whose conversation is over is rejected, and said to be', async () => {
  const say = await chat('seven');
  await say('tell agent:back sleep 3');
  await talk.hears('seven', /ok: /);
  await say('/new');
  await until('it is rejected', async () =>
    assert.equal(
      talk.count(
        "SELECT count(*) AS n FROM outbound WHERE state = 'rejected' AND error LIKE '%that asked for it is over'",
      ),
      1,
    ),
  );
});

test('an agent asks for another one to be made; who administers everything decides, and then they talk', async () => {
  const say = await chat('eight');
  // Its authority may name one that was never made: then it is made all the same.
  await install.change('front', `${YAML}agents: {back: allow, helper: allow}\n`);
  const wish = { reason: 'to divide the work', agents: [{ name: 'helper', how: 'allow', instructions: 'You help.' }] };
  await say(`want ${JSON.stringify(wish)}`);
  const { text, buttons } = await talk.hears('dm-ada', /^h\d+: the agent front asks for more/);
  assert.match(text, /\| makes the agent helper, told: You help\.\nPut exactly this/);
  await talk.press('dm-ada', 'ada', buttons!.find(({ label }) => label === 'Approve')!.token);
  await talk.hears('eight', /You said: \[Your request h\d+ was approved and is in force/);
  const { in_force } = await talk.call<GroupShown>('group_show', { group: 'helper' });
  assert.equal(in_force!.applied_by, 'ada');
  await say('tell agent:helper good morning');
  await talk.hears('eight', /You said: good morning/);
});
