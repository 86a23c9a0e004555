import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { InspectAnswer } from '../../src/cli/inspect.ts';
import type { GroupShown, Plan } from '../../src/operations/groups.ts';
import { applyGroup } from '../fakes/authorities.ts';
import { Install, until } from '../fakes/install.ts';
import { Terminal } from '../fakes/terminal.ts';

/** What a group may see and reach: shown, applied, and only then in force, with real processes and sandboxes. */

const install = new Install();
/** A folder of the operator that a group may be given; any uid can read it. */
const folder = mkdtempSync(join(tmpdir(), 'glass-mounts-'));
const notes = join(folder, 'notes');

before(async () => {
  chmodSync(folder, 0o755);
  mkdirSync(notes);
  writeFileSync(join(notes, 'a.txt'), 'of the operator');
  mkdirSync(join(folder, 'shared'));
  install.install(`mounts: {write: ["${join(folder, 'shared')}"]}\n`);
  install.group('assistant', 'harness: probe\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(async () => {
  await install.stop();
  rmSync(folder, { recursive: true });
});

async function shown(group = 'assistant'): Promise<GroupShown> {
  return install.control.call<GroupShown>('group_show', { group });
}

async function edited(): Promise<string | null> {
  return (await install.ready()).groups.find((group) => group.name === 'assistant')!.edited;
}

/** Says it in a new chat, so in a new sandbox, and resolves with the first answer. */
async function answerTo(chat: string, text: string): Promise<string> {
  const opened = await Terminal.open(install.control, chat);
  await opened.say(text);
  return (await opened.hears(/./)).body;
}

test('the group that an install comes with is in force from the first start on, and that is on record', async () => {
  const { in_force, capabilities, controls, edited } = await shown();
  assert.equal(in_force?.applied_by, 'the first start');
  assert.equal(edited, null);
  assert.ok(capabilities.some(({ name, words }) => name === 'harness' && words === 'probe'));
  assert.ok(controls.some(({ name, state }) => name === 'tmp_bytes' && state === 'enforced'));
  const events: Record<string, unknown>[] = [];
  await install.control.stream('events', { after: 0, limit: 1000 }, (row) => events.push(row));
  assert.equal(events.filter((event) => event['kind'] === 'authority.applied').length, 1);
});

test('an edited file is shown as such, and is not in force until it is applied; a running sandbox keeps its authority', async () => {
  assert.match(await answerTo('old', 'search nothing'), /ok: \[\]/);
  install.group('assistant', 'harness: probe\ntools: [send_message, no_reply]\n');
  assert.match((await edited()) ?? '', /changes that are not in force/);
  assert.match(await answerTo('still-old', 'search nothing'), /ok: \[/);
  const busy = await Terminal.open(install.control, 'busy');
  await busy.say('sleep 3');
  await until('the turn runs', async () =>
    assert.ok((await install.ready()).sessions.some((session) => session.state === 'running')),
  );
  const plan = await applyGroup(install.control, 'assistant');
  assert.deepEqual(plan.changes, [
    { name: 'tool', kind: 'loses', words: 'tool ask' },
    { name: 'tool', kind: 'loses', words: 'tool card' },
    { name: 'tool', kind: 'loses', words: 'tool history_search' },
    { name: 'tool', kind: 'loses', words: 'tool list_destinations' },
    ...['react', 'request_authority', 'send_file', 'task_add', 'task_cancel', 'task_list'].map((name) => ({
      ...{ name: 'tool', kind: 'loses', words: `tool ${name}` },
    })),
  ]);
  const running = (await install.ready()).sessions.filter((session) => session.state === 'running');
  assert.deepEqual(
    running.map((session) => session.authority),
    ['until its next start'],
  );
  assert.equal(await edited(), null);
  assert.match(await answerTo('new', 'search nothing'), /this group may not use the tool "history_search"/);
  await busy.hears(/slept/);
});

test('apply takes only the object that was shown', async () => {
  install.group('assistant', 'harness: probe\nlimits: {pids: 100}\n');
  const plan = await install.control.call<Plan>('group_plan', { group: 'assistant' });
  install.group('assistant', 'harness: probe\nlimits: {pids: 200}\n');
  await assert.rejects(install.control.call('group_apply', { group: 'assistant', hash: plan.hash }), {
    code: 'conflict',
    message: /not what was shown/,
  });
  assert.notEqual((await shown()).in_force?.hash, plan.hash);
  await install.change('assistant', 'harness: probe\n');
});

test('a file that is refused changes nothing of what is in force, also over a restart', async () => {
  const { in_force } = await shown();
  install.group('assistant', 'harnes: probe\n');
  assert.match((await edited()) ?? '', /file is refused: .*harnes/);
  const refused = install.glass('group', 'apply', 'assistant', '--yes');
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /Unrecognized key: "harnes"/);
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  assert.deepEqual((await shown()).in_force, in_force);
  assert.match(await answerTo('broken-file', 'hello'), /You said: hello/);
  install.group('assistant', 'harness: probe\n');
});

test('services and budgets are planned in words', async () => {
  const service = 'egress: {wiki: {host: wiki.example.com, approve: [GET /api/**]}}';
  install.group('assistant', `harness: probe\nbudget: {usd_per_day: 5, usd_per_idle_hour: 1}\n${service}\n`);
  const plan = install.glass('group', 'plan', 'assistant');
  assert.match(plan.stdout, /gains: +egress GET wiki\.example\.com\/api\/\*\*, after approval/);
  assert.match(plan.stdout, /gains: +budget usd_per_idle_hour: at most 1 usd per idle hour/);
  install.group('assistant', 'harness: probe\n');
});

test('the rule that decides about a request is named, of what is in force', async () => {
  const service =
    'egress: {wiki: {host: wiki.example.com, allow: [GET /api/**], approve: [POST /api/pages], deny: [GET /api/secret]}}';
  await install.change('assistant', `harness: probe\n${service}\n`);
  const explain = (...words: string[]) => install.glass('egress', 'explain', 'assistant', ...words);
  const allowed = explain('GET', 'https://wiki.example.com/api/pages?q=1');
  assert.deepEqual([allowed.status, allowed.stdout], [0, 'allow: wiki allows GET /api/**\n']);
  assert.equal(allowed.stderr, '');
  assert.match(explain('get', 'https://wiki.example.com/api/secret').stdout, /^deny: wiki denies GET \/api\/secret\n/);
  const waits = explain('POST', 'https://wiki.example.com/api/pages');
  assert.deepEqual([waits.status, waits.stdout], [7, 'approve: wiki asks a person before POST /api/pages\n']);
  assert.equal(waits.stderr, 'It waits until somebody decides: ./glass approval list\n');
  const elsewhere = explain('POST', 'https://evil.example/', '--json');
  assert.equal(elsewhere.status, 7);
  assert.equal(JSON.parse(elsewhere.stdout).rule, 'default');
  assert.match(explain('GET', 'https://wiki.example.com/api/%2e%2e/x').stdout, /escape of a dot/);
  for (const words of [['GET', 'http://wiki.example.com/'], ['GET', 'wiki'], ['G T', 'https://a/'], ['GET']])
    assert.equal(explain(...words).status, 2, words.join(' '));
  assert.equal(install.glass('egress', 'explain', 'nobody', 'GET', 'https://a.example/').status, 4);
  await install.change('assistant', 'harness: probe\n');
});

test('limits that the host itself keeps are applied and shown as the others are', async () => {
  const ofHost = [
    ['turn_ms', 'watched'],
    ['output_bytes', 'enforced'],
  ];
  const states = (list: { name: string; state: string }[]): string[][] =>
    list.map(({ name, state }) => [name, state]).filter(([name]) => ofHost.some(([known]) => known === name));
  const plan = install.glass('group', 'plan', 'assistant').stdout;
  assert.match(plan, /enforced here +.*output_bytes/);
  assert.match(plan, /watched here +turn_ms: the host’s clock: interrupted at its deadline, and ended 5 s later/);
  const shown = JSON.parse(install.glass('group', 'show', 'assistant', '--json').stdout) as GroupShown;
  assert.deepEqual(states(shown.controls), ofHost);
  assert.deepEqual(states((await install.ready()).runtime.limits), ofHost);
  const found = install.glass('inspect', 'assistant', '--quick').stdout;
  assert.match(found, /limit turn_ms +watched: /);
  assert.match(found, /limit output_bytes +enforced: 1 MiB a second of a stream are read, 4 MiB of a session are kept/);
});

test('a mount is read in the sandbox at its place, and not written', async () => {
  await install.change('assistant', `harness: probe\nmounts: [{source: "${notes}"}]\n`);
  assert.match(await answerTo('mount', 'file /mnt/notes/a.txt'), /ok: \{"id":"o\d+"\}/);
  const refused = install.glass('group', 'plan', 'assistant', '--json');
  assert.equal(refused.status, 0);
  install.group('assistant', `mounts: [{source: "${notes}", access: write}]\n`);
  const write = install.glass('group', 'plan', 'assistant');
  assert.equal(write.status, 3);
  assert.match(write.stderr, /may not be written: mounts\.write of glass\.yaml does not list it/);
});

test('a mount that may be written is writable inside, and no other one is', async () => {
  const mounts = `[{source: "${notes}"}, {source: "${join(folder, 'shared')}", access: write}]`;
  await install.change('assistant', `harness: probe\nmounts: ${mounts}\n`);
  const found = JSON.parse(install.glass('inspect', 'assistant', '--quick', '--json').stdout) as InspectAnswer;
  assert.deepEqual(
    found.inspection.probes.filter((probe) => probe.state === 'failed'),
    [],
  );
  const inside = found.inspection.actual.mounts.filter(({ target }) => target.startsWith('/mnt/'));
  assert.deepEqual(inside.map(({ target, access }) => `${access} ${target}`).sort(), [
    'read /mnt/notes',
    'write /mnt/shared',
  ]);
});

test('what lies in a folder that another group writes is not mounted, at plan and at a start', async () => {
  const [shared, inner] = [join(folder, 'shared'), join(folder, 'shared/inner')];
  mkdirSync(inner);
  const reading = `harness: probe\nmounts: [{source: "${inner}"}]\n`;
  await install.change('writer', `harness: probe\nmounts: [{source: "${shared}", access: write}]\n`);
  install.group('assistant', reading);
  const refused = install.glass('group', 'plan', 'assistant');
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /inner lies in .*shared, which the group writer may write/);
  await install.change('writer', 'harness: probe\n');
  await install.change('assistant', reading);
  install.group('writer', `harness: probe\nmounts: [{source: "${shared}", access: write}]\n`);
  assert.match(install.glass('group', 'plan', 'writer').stderr, /inner of the group assistant lies in/);
  await install.change('assistant', 'harness: probe\n');
  install.group('writer', 'harness: probe\n');
});

test('a mount that leads elsewhere by now keeps the group from starting, and the operator hears of it', async () => {
  await install.change('assistant', `harness: probe\nmounts: [{source: "${notes}"}]\n`);
  rmSync(notes, { recursive: true });
  symlinkSync('/etc', notes);
  const told = await answerTo('moved', 'hello');
  assert.match(told, /could not be answered.*leads to \/etc now/s);
  const { alerts } = await install.ready();
  assert.ok(alerts.some((alert) => alert.kind === 'sandbox.start' && alert.text.includes('leads to /etc now')));
  rmSync(notes);
  mkdirSync(notes);
  assert.match(await answerTo('moved-back', 'hello'), /You said: hello/);
  await install.change('assistant', 'harness: probe\n');
});

test('glass group makes, lists, shows, plans and applies, and never applies unasked', () => {
  const made = install.glass('group', 'new', 'second');
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /group\.yaml is made.*group apply second/);
  assert.equal(install.glass('group', 'new', 'second').status, 5);
  assert.match(install.glass('group', 'list').stdout, /second +nothing in force/);
  const plan = install.glass('group', 'plan', 'second');
  assert.match(plan.stdout, /gains: +harness: auto/);
  assert.match(plan.stdout, /gains: +tool send_message/);
  assert.match(plan.stdout, /hash [0-9a-f]{64}/);
  const unasked = install.glass('group', 'apply', 'second');
  assert.equal(unasked.status, 2);
  assert.match(unasked.stderr, /no terminal to ask on.*--yes/);
  assert.equal(install.glass('group', 'apply', 'second', '--hash', 'f'.repeat(64)).status, 5);
  const hash = /hash ([0-9a-f]{64})/.exec(plan.stdout)![1]!;
  const applied = install.glass('group', 'apply', 'second', '--hash', hash);
  assert.equal(applied.status, 0, applied.stderr);
  assert.match(applied.stdout, /second: in force/);
  assert.match(install.glass('group', 'show', 'second').stdout, /in force since .*applied by/);
  assert.equal(JSON.parse(install.glass('group', 'show', 'second', '--json').stdout).in_force.hash, hash);
  assert.match(install.glass('group', 'plan', 'second').stdout, /nothing would change/);
  for (const words of [
    ['show', 'nobody'],
    ['show'],
    ['frobnicate', 'x'],
    ['plan', 'second', '--yes'],
    ['show', '../x'],
  ])
    assert.ok([2, 4].includes(install.glass('group', ...words).status ?? -1), words.join(' '));
});
