import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { gitHandler, makeRepository } from '../fakes/git_service.ts';
import { requestsTo, TemplateWorld, TOKEN } from '../kits/template_world.ts';

/** Templates whose agents change something outside: only what a person has approved, exactly that, and once. */

const world = new TemplateWorld();
const EVENTS = '/calendar/v3/calendars/primary/events';
const REPOSITORY = 'acme/app';

before(async () => {
  await world.start();
  makeRepository(world.folder, `${REPOSITORY}.git`, 2);
  world.make('scheduler', 'dates', { zone: 'Europe/Berlin' });
  world.make('engineering', 'dev', { repo: REPOSITORY });
});
afterEach((context) => world.talk.install.explain(context));
beforeEach(() => {
  world.reset();
  world.calendar.handler = (_request, response, { method }) => void response.end(`{"done":"${method}"}`);
  world.api.handler = (_request, response, { method }) => void response.end(`{"done":"${method}"}`);
  world.code.handler = gitHandler(world.folder);
});
after(() => world.stop());

function has(program: string): boolean {
  return spawnSync(program, ['--version']).status === 0;
}

const noCurl = !has('curl') && 'no curl here';
const noGit = (noCurl || !has('git')) && 'no git or curl here';

/** A command that writes to the calendar. */
function change(method: string, path = ''): string {
  return `curl -sS -X ${method} -d '{"summary":"dentist"}' https://www.googleapis.com${EVENTS}${path}; echo " $?"`;
}

/** A branch of the bare repository; null: there is none. */
function branch(name: string): string | null {
  const words = ['-c', 'safe.directory=*', '--git-dir', join(world.folder, `${REPOSITORY}.git`)];
  const { status, stdout } = spawnSync('git', [...words, 'log', '-1', '--format=%s', name], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

test('scheduler: it reads at will; a change waits for a card, leaves once when approved, and never when denied', {
  skip: noCurl,
}, async () => {
  const { talk, calendar, tokens } = world;
  await talk.say('dates', 'bob', `tool bash {"command": "curl -sS https://www.googleapis.com${EVENTS}"}`);
  await talk.hears('dates', /\{"done":"GET"\}/);
  assert.deepEqual(calendar.values('authorization'), [`Bearer ${tokens.access}`]);
  calendar.received.length = 0;

  const denied = await world.asked('dates', change('DELETE', '/abc'));
  await denied.press('Deny');
  await talk.hears('dates', /a person denied it/);
  assert.deepEqual(calendar.received, []);

  const card = await world.asked('dates', change('POST'));
  assert.match(card.text, new RegExp(`method: POST\nhost: www\\.googleapis\\.com(?::443)?\npath: ${EVENTS}\n`));
  assert.match(card.text, /\| \{"summary":"dentist"\}$/);
  assert.deepEqual(calendar.received, []);
  await card.press('Approve');
  await talk.hears('dates', /\{"done":"POST"\} 0/);
  assert.deepEqual(
    calendar.received.map(({ method, target, body }) => `${method} ${target} ${body}`),
    [`POST ${EVENTS} {"summary":"dentist"}`],
  );
});

test('scheduler: what is not an event of its calendar is refused, and asks nobody', { skip: noCurl }, async () => {
  const before_ = (await world.talk.sent('dm-alma')).length;
  const others = ['/calendar/v3/calendars/other/events', '/calendar/v3/calendars/primary/acl', '/drive/v3/files'];
  const command = others.map((path) => `curl -sS -X POST -d x https://www.googleapis.com${path}`).join('; ');
  const from = (await world.talk.sent('dates')).length;
  await world.talk.say('dates', 'bob', `tool bash ${JSON.stringify({ command })}`);
  const { text } = await world.talk.hears('dates', /tool said/, from);
  assert.equal(text.match(/no rule for www\.googleapis\.com allows POST/g)?.length, 3, text);
  assert.deepEqual([world.calendar.received, (await world.talk.sent('dm-alma')).length], [[], before_]);
});

test('engineering: it clones at will; a push waits for a card that names the branch, and so does a pull request', {
  skip: noGit,
}, async () => {
  const { talk, code, api } = world;
  const commit = `git -c user.name=agent -c user.email=agent@example.com commit -q --allow-empty -m`;
  const clone = `git clone -q https://github.com/${REPOSITORY}.git repo && cd repo && cat file.txt`;
  await talk.say('dev', 'bob', `tool bash ${JSON.stringify({ command: clone })}`);
  await talk.hears('dev', /version 2/);
  assert.ok(code.received.every(({ method, target }) => method === 'GET' || target.endsWith('/git-upload-pack')));
  assert.deepEqual(code.values('authorization'), [
    `Basic ${Buffer.from(`x-access-token:${TOKEN}`).toString('base64')}`,
  ]);

  const refused = await world.asked(
    'dev',
    `cd repo && git checkout -q -b bad && ${commit} bad && git push -q origin bad`,
  );
  await refused.press('Deny');
  await talk.hears('dev', /error: 403/);
  assert.equal(branch('bad'), null);

  const push = await world.asked(
    'dev',
    `cd repo && git checkout -q -b good && ${commit} good; git push -q origin good; echo "push $?"`,
  );
  assert.match(push.text, new RegExp(`path: /${REPOSITORY}\\.git/git-receive-pack\n`));
  assert.match(push.text.replaceAll('\n| ', ''), /0{40} [0-9a-f]{40} refs\/heads\/good/);
  assert.equal(branch('good'), null);
  await push.press('Approve');
  await talk.hears('dev', /push 0/);
  assert.equal(branch('good'), 'good');

  const open = `curl -sS -d '{"title":"good","head":"good","base":"main"}' https://api.github.com/repos/${REPOSITORY}/pulls; echo " $?"`;
  const pull = await world.asked('dev', open);
  assert.deepEqual(api.received, []);
  await pull.press('Approve');
  await talk.hears('dev', /\{"done":"POST"\} 0/);
  assert.deepEqual(requestsTo(api), [`POST /repos/${REPOSITORY}/pulls`]);
  assert.deepEqual(api.values('authorization'), [`Bearer ${TOKEN}`]);
});

test('engineering: another repository, and a merge, are refused and ask nobody', { skip: noGit }, async () => {
  const before_ = (await world.talk.sent('dm-alma')).length;
  const from = (await world.talk.sent('dev')).length;
  const command = `git clone -q https://github.com/acme/other.git; echo "clone $?"; curl -sS -X PUT https://api.github.com/repos/${REPOSITORY}/pulls/1/merge`;
  await world.talk.say('dev', 'bob', `tool bash ${JSON.stringify({ command })}`);
  const { text } = await world.talk.hears('dev', /tool said/, from);
  assert.match(text, /clone 128[\s\S]*no rule for api\.github\.com allows PUT/);
  assert.deepEqual([requestsTo(world.code), requestsTo(world.api)], [[], []]);
  assert.equal((await world.talk.sent('dm-alma')).length, before_);
});
