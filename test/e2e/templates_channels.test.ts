import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { until } from '../fakes/install.ts';
import { slackSocket } from '../fakes/slack/account.ts';
import { polled as telegram } from '../fakes/telegram/subject.ts';
import type { Account, Sent } from '../kits/channel_scene.ts';
import { TemplateWorld } from '../kits/template_world.ts';

/** Templates on the platforms that they are made for: the printed lines, a task's run, and what the driver writes into the chat. */

const world = new TemplateWorld();

before(() => world.start());
afterEach((context) => world.talk.install.explain(context));
beforeEach(() => world.reset());
after(() => world.stop());

/** What was sent to the group that matches; rejects while there is nothing. */
function hears(account: Account, what: RegExp): Promise<Sent> {
  const { chat } = account.place('group');
  return until(`${chat} hears ${what}`, async () => {
    const sent = account.sent().filter((each) => each.chat === chat);
    const found = sent.find(({ shown }) => what.test(shown));
    if (found === undefined) throw new Error(`heard: ${JSON.stringify(sent.map(({ shown }) => shown))}`);
    return found;
  });
}

test('stalled-prs pings a group of Telegram once, and answers there when it is called', async () => {
  const account = await world.channel(telegram);
  const { chat } = account.place('group');
  const [task] = world.make('stalled-prs', `telegram:${chat}`, { repo: 'acme/app', zone: 'Europe/Berlin' });
  const pull = { number: 12, title: 'a *great* change', user: { login: 'zoe' }, draft: false };
  const html_url = 'https://github.com/acme/app/pull/12';
  const stalled = { ...pull, html_url, updated_at: new Date(Date.now() - 4 * 86_400_000).toISOString() };
  world.api.handler = (_request, response) => void response.end(JSON.stringify([stalled]));
  let line = '';
  world.script(
    ({ lastText }) => {
      line = /Once you have named them: (.*)/.exec(lastText)![1]!;
      return { tools: [{ name: 'send_message', input: { text: `**Stalled**: ${html_url}` } }] };
    },
    () => ({ tools: [{ name: 'bash', input: { command: line } }] }),
    () => ({ tools: [{ name: 'no_reply', input: {} }] }),
  );
  await world.run(task!);
  const ping = await hears(account, /^Stalled: https:\/\/github\.com\/acme\/app\/pull\/12$/);
  assert.deepEqual(ping.bold, ['Stalled'], 'in the dialect of the platform');
  world.reset();
  assert.equal(await world.run(task!), 'silent');
  assert.deepEqual(world.model.requests, []);
  assert.equal(account.sent().length, 1);
  world.script(({ lastText }) => ({ text: `heard ${/are there more\?/.exec(lastText)?.[0]}` }));
  await account.people.say({ place: 'group', from: 'person', text: 'are there more?', mention: true });
  await hears(account, /^heard are there more\?$/);
});

test('morning-briefing says one thing into a channel of Slack', async () => {
  const account = await world.channel(slackSocket);
  const { chat } = account.place('group');
  const [task] = world.make('morning-briefing', `slack:${chat}`, { zone: 'Asia/Tokyo', calendar: 'team@example.com' });
  world.calendar.handler = (_request, response) => void response.end('{"items":[{"summary":"planning at ten"}]}');
  const command = `curl -sS 'https://www.googleapis.com/calendar/v3/calendars/team@example.com/events?singleEvents=true'`;
  world.script(
    () => ({ tools: [{ name: 'bash', input: { command } }] }),
    ({ toolResults }) => ({ text: `**Today**: ${/planning at ten/.exec(toolResults.join())?.[0]}` }),
  );
  assert.equal(await world.run(task!), 'answered');
  const briefing = await hears(account, /^Today: planning at ten$/);
  assert.deepEqual(briefing.bold, ['Today'], 'in the dialect of the platform');
  assert.equal(account.sent().length, 1);
  assert.deepEqual(world.calendar.values('authorization'), [`Bearer ${world.tokens.access}`]);
});
