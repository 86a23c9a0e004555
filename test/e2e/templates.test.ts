import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { TemplateShown } from '../../src/operations/templates.ts';
import { requireHarness } from '../kits/harness_bench.ts';
import { requestsTo, scripted, TemplateWorld, TOKEN } from '../kits/template_world.ts';

/** Templates whose work is a task: made by the printed lines, run now, in real sandboxes. */

const world = new TemplateWorld();
const DAY_MS = 86_400_000;

before(() => world.start());
afterEach((context) => world.talk.install.explain(context));
beforeEach(() => world.reset());
after(() => world.stop());

/** An open pull request as GitHub lists it. */
function pull(number: number, days: number, more: object = {}) {
  const updated_at = new Date(Date.now() - days * DAY_MS).toISOString();
  const html_url = `https://github.com/acme/app/pull/${number}`;
  return { number, title: `change ${number}`, user: { login: 'zoe' }, draft: false, updated_at, html_url, ...more };
}

/** What the model calls the same things with each agent loop. */
const CALLS = {
  native: {
    send: (text: string) => ({ name: 'send_message', input: { text } }),
    run: (command: string) => ({ name: 'bash', input: { command } }),
    end: { name: 'no_reply', input: {} },
  },
  claude: {
    send: (text: string) => ({ name: 'mcp__glass__send_message', input: { text } }),
    run: (command: string) => ({ name: 'Bash', input: { command, description: 'note them' } }),
    end: { name: 'mcp__glass__no_reply', input: {} },
  },
};

for (const harness of ['native', 'claude'] as const)
  test(`stalled-prs with ${harness}: a quiet day wakes no model; a pull request that stalls is named once, and again when it stalls anew`, async () => {
    await requireHarness(harness);
    const set = { repo: 'acme/app', zone: 'Europe/Berlin' };
    const team = `team-${harness}`;
    const [task] = world.make(`stalled-${harness}`, team, set, 'stalled-prs', harness);
    let pulls = [pull(7, 2), pull(8, 9, { draft: true })];
    world.api.handler = (_request, response) => void response.end(JSON.stringify(pulls));
    assert.equal(await world.run(task!), 'silent');
    assert.deepEqual(world.model.requests, []);
    assert.deepEqual(requestsTo(world.api), [
      'GET /repos/acme/app/pulls?state=open&sort=updated&direction=asc&per_page=100',
    ]);
    assert.deepEqual(world.api.values('authorization'), [`Bearer ${TOKEN}`]);

    pulls = [pull(12, 4), ...pulls];
    const shown: string[] = [];
    const line = (): string => /Once you have named them: (.*)/.exec(shown[0]!)![1]!;
    const { send, run, end } = CALLS[harness];
    const agent = (): void =>
      world.script(
        ({ lastText }) => {
          shown.unshift(lastText);
          return { tools: [send(/^#\d+ .*$/m.exec(lastText)![0])] };
        },
        () => ({ tools: [run(line())] }),
        () => ({ tools: [end] }),
      );
    agent();
    await world.run(task!);
    await world.talk.hears(team, /^#12 "change 12" by zoe, unchanged since .*acme\/app\/pull\/12$/);
    assert.doesNotMatch(shown[0]!, /#7|#8/);
    assert.ok(!shown[0]!.includes(TOKEN));
    world.model.requests.length = 0;
    assert.equal(await world.run(task!), 'silent');
    assert.deepEqual(world.model.requests, []);
    pulls = [pull(12, 3.5)];
    agent();
    await world.run(task!);
    assert.equal((await world.talk.sent(team)).length, 2);
  });

test('stalled-prs: a GitHub that does not answer well is a failure that the chat hears of, and writes are refused', async () => {
  const [task] = world.make('broken', 'broken', { repo: 'acme/app', zone: 'Europe/Berlin' }, 'stalled-prs');
  world.api.handler = (_request, response) => void response.writeHead(401).end('bad credentials');
  assert.match(await world.run(task!), /^failed/);
  await world.talk.hears('broken', /its gate ended with 2: GitHub answered 401: bad credentials/);
  world.reset();
  await world.talk.say(
    'broken',
    'bob',
    `tool bash {"command": "curl -sS -X POST https://api.github.com/repos/acme/app/pulls"}`,
  );
  await world.talk.hears('broken', /no rule for api\.github\.com allows POST/);
  assert.deepEqual(world.api.received, []);
});

test('morning-briefing: weekday mornings in its zone; a run reads the calendar and says one thing', async () => {
  const [task] = world.make('morning-briefing', 'general', { zone: 'Asia/Tokyo', calendar: 'team@example.com' });
  const { tasks } = await world.talk.call<{ tasks: Record<string, string>[] }>('tasks', { group: 'morning-briefing' });
  const { when, zone, to, catch_up, next } = tasks[0]!;
  assert.deepEqual([when, zone, to, catch_up], ['cron 0 7 * * 1-5', 'Asia/Tokyo', 'platform:general', 'skip']);
  assert.match(next!, /T22:00:00/); // the evening before in UTC
  world.calendar.handler = (_request, response) => void response.end('{"items":[{"summary":"planning at ten"}]}');
  const command = `curl -sS 'https://www.googleapis.com/calendar/v3/calendars/team@example.com/events?singleEvents=true'`;
  world.script(
    () => ({ tools: [{ name: 'bash', input: { command } }] }),
    ({ toolResults }) => ({ text: `Today: ${/planning at ten/.exec(toolResults.join())?.[0]}` }),
  );
  assert.equal(await world.run(task!), 'answered');
  await world.talk.hears('general', /^Today: planning at ten$/);
  assert.equal((await world.talk.sent('general')).length, 1);
  assert.deepEqual(world.calendar.values('authorization'), [`Bearer ${world.tokens.access}`]);
});

test('weekly-report: a run reads the repository and delivers a file', async () => {
  const [task] = world.make('weekly-report', 'board', { repo: 'acme/app', zone: 'Europe/Berlin' });
  world.api.handler = (_request, response) => void response.end('[{"commit":{"message":"the great change"}}]');
  const command = `mkdir -p reports && { echo '# Week'; curl -sS https://api.github.com/repos/acme/app/commits; } > reports/week.md`;
  world.script(
    () => ({ tools: [{ name: 'bash', input: { command } }] }),
    () => ({ tools: [{ name: 'send_file', input: { path: '/workspace/reports/week.md', text: 'The week.' } }] }),
    () => ({ tools: [{ name: 'no_reply', input: {} }] }),
  );
  await world.run(task!);
  const { file } = await world.talk.hears('board', /^The week\./);
  assert.deepEqual(file, { name: 'week.md', text: '# Week\n[{"commit":{"message":"the great change"}}]' });
  assert.deepEqual(requestsTo(world.api), ['GET /repos/acme/app/commits']);
  assert.equal((await world.talk.sent('board')).length, 1);
});

test('assistant: the default, as ever, with nothing but its model', async () => {
  const { install } = world.talk;
  const { yaml } = install.paths.group('second');
  const made = install.glass('group', 'new', 'second');
  assert.match(made.stdout, /second\/group\.yaml is made\. Edit it, then: \.\/glass group apply second\n$/);
  const { changes } = JSON.parse(install.glass('group', 'plan', 'second', '--json').stdout);
  assert.ok(!changes.some(({ name }: { name: string }) => name === 'egress'), JSON.stringify(changes));
  await install.change('second', scripted(readFileSync(yaml, 'utf8'), world.model.origin));
  await world.talk.wire('home', 'second');
  await world.talk.say('home', 'bob', 'hello');
  await world.talk.hears('home', /echo: [\s\S]*hello/);
});

test('templates are listed, and what is wrong with a new group is one sentence that leaves nothing behind', () => {
  const { install } = world.talk;
  const { templates } = JSON.parse(install.glass('group', 'templates', '--json').stdout) as {
    templates: TemplateShown[];
  };
  assert.deepEqual(
    templates.map(({ template }) => template),
    ['assistant', 'engineering', 'morning-briefing', 'scheduler', 'stalled-prs', 'weekly-report'],
  );
  assert.match(
    install.glass('group', 'templates').stdout,
    /^engineering +works on a GitHub.*\n {4}--set repo=acme\/app/m,
  );
  const stalled = ['--template', 'stalled-prs', '--set', 'zone=UTC'];
  for (const [words, status, reason] of [
    [['--template', 'nonsense'], 4, /there is no template "nonsense".*assistant, engineering, .*weekly-report/s],
    [stalled, 2, /stalled-prs needs --set repo=….*--set repo=acme\/app \(the repository on GitHub\)/s],
    [[...stalled, '--set', 'repo=acme'], 2, /does not take "acme" as repo/],
    [[...stalled, '--set', 'repo=acme/app', '--set', 'colour=red'], 2, /has no parameter "colour"/],
    [
      ['--template', 'weekly-report', '--set', 'repo=a/b', '--set', 'zone=Europe/Nowhere'],
      2,
      /no time zone "Europe\/Nowhere"/,
    ],
    [[...stalled, '--set', 'repo=acme/app', '--to', 'nowhere'], 2, /must be a chat such as/],
    [[...stalled, '--set', 'repo'], 2, /--set <parameter>=<value>/],
    [[...stalled, '--set', 'zone=UTC'], 2, /given twice/],
  ] as const) {
    const refused = install.glass('group', 'new', 'third', ...words);
    assert.equal(refused.status, status, `${words.join(' ')}: ${refused.stderr}`);
    assert.match(refused.stderr, reason);
    assert.ok(!existsSync(install.paths.group('third').folder));
  }
});
