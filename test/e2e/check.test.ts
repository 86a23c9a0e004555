import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { CHECK_CHANNEL, CHECK_GROUP } from '../../src/evidence/check/names.ts';
import type { ReportHead } from '../../src/evidence/check/newest.ts';
import type { Status } from '../../src/evidence/status.ts';
import type { GroupShown } from '../../src/operations/groups.ts';
import { until } from '../fakes/install.ts';
import { remove } from '../fakes/remove.ts';
import { Terminal } from '../fakes/terminal.ts';
import { type Checked, claimsIn, SupervisedInstall } from '../kits/check_kit.ts';

/** `glass check` on a real install under `glass up`: what it sees, what it writes, what it leaves. */

const supervised = new SupervisedInstall();
const { install } = supervised;

before(() => supervised.start());
afterEach((context) => install.explain(context));
after(() => supervised.stop());

function status(): Promise<Status> {
  return install.control.call<Status>('status');
}

/** What is there of a check: nothing, but what is recorded. */
async function leftOver(): Promise<string[]> {
  const { groups } = await install.control.call<{ groups: GroupShown[] }>('groups');
  const { channels, sessions, alerts } = await status();
  const secrets = JSON.parse(install.glass('secret', 'list', '--json').stdout).secrets as { name: string }[];
  const { wirings } = await install.control.call<{ wirings: { group: string }[] }>('wirings');
  return [
    ...groups.map(({ group }) => group).filter((group) => group === CHECK_GROUP),
    ...channels.map(({ name }) => name).filter((name) => name === CHECK_CHANNEL),
    ...wirings.filter(({ group }) => group === CHECK_GROUP).map(({ group }) => `a wiring of ${group}`),
    ...sessions.filter(({ group }) => group === CHECK_GROUP).map(({ session }) => session),
    ...secrets.filter(({ name }) => name.startsWith('check-')).map(({ name }) => `the secret ${name}`),
    ...alerts.filter(({ text }) => text.includes('check-')).map(({ id }) => id),
    ...(existsSync(install.paths.group(CHECK_GROUP).folder) ? ['a folder'] : []),
    ...(readFileSync(install.paths.config, 'utf8').includes('check-') ? ['glass.yaml'] : []),
  ];
}

let all: Checked;

test('all four pass, every claim, and nothing of it is left', async () => {
  const chat = await Terminal.open(install.control, 'main');
  await chat.say('hello');
  await chat.hears(/You said: hello/);
  const config = readFileSync(install.paths.config, 'utf8');
  all = await supervised.check('--yes');
  assert.equal(readFileSync(install.paths.config, 'utf8'), config);
  assert.deepEqual([claimsIn(all, 'failed'), claimsIn(all, 'not tested')], [[], []], all.err);
  assert.equal(all.code, 0);
  const claims = claimsIn(all, 'held');
  assert.equal(claims.filter((what) => /^The path of /.test(what)).length, 2);
  assert.deepEqual(
    claims.filter((what) => /boundary/.test(what)),
    ['The boundary of assistant holds'],
  );
  for (const victim of ['sandbox', 'gateway', 'host'])
    assert.equal(claims.filter((what) => what.startsWith(`The ${victim} is killed`)).length, 2, victim);
  for (const broken of ['model endpoint', 'workspace', 'channel', 'gateway that is away'])
    assert.equal(claims.filter((what) => what.includes(broken) && /seen|mended/.test(what)).length, 4, broken);
  assert.deepEqual(await leftOver(), []);
});

test('its report is whole, closed to others, and names its evidence', async () => {
  const { report } = all;
  assert.ok(report !== null);
  for (const ending of ['md', 'html', 'json']) assert.equal(statSync(`${report.report}.${ending}`).mode & 0o777, 0o600);
  assert.deepEqual({ ...JSON.parse(readFileSync(`${report.report}.json`, 'utf8')), report: report.report }, report);
  const { groups } = await install.control.call<{ groups: GroupShown[] }>('groups');
  assert.deepEqual(report.authorities, [{ group: 'assistant', hash: groups[0]!.in_force!.hash }]);
  const [guards] = report.checks.flatMap((check) => check.guards);
  assert.ok(guards!.probes.length > 100);
  const markdown = readFileSync(`${report.report}.md`, 'utf8');
  const html = readFileSync(`${report.report}.html`, 'utf8');
  for (const { what, evidence } of report.checks.flatMap((check) => check.claims)) {
    assert.ok(html.includes(what.replaceAll('’', '’')), what);
    for (const one of evidence.filter((each) => /^[mtoa]\d+$/.test(each))) {
      assert.match(markdown, new RegExp(`\\b${one}\\b`));
      assert.match(html, new RegExp(`\\b${one}\\b`));
    }
  }
  const messages = report.checks.flatMap((check) => check.claims).flatMap(({ evidence }) => evidence);
  for (const message of messages.filter((each) => /^m\d+$/.test(each)))
    await install.control.call('trace', { message });
});

test('--last and status name the newest report, and its result', async () => {
  const last = await supervised.check('--last');
  const head = JSON.parse(last.out) as ReportHead;
  assert.deepEqual([last.code, head.state, head.path], [0, 'passed', all.report!.report]);
  assert.deepEqual((await status()).checked, head);
});

test('with --only and --group that is done alone, without a question, and the report says so', async () => {
  const { code, report, err } = await supervised.check('--only', 'traceability,privilege', '--group', 'assistant');
  assert.equal(code, 0, err);
  assert.deepEqual(
    report!.checks.map(({ check }) => check),
    ['traceability', 'privilege'],
  );
  assert.match(report!.warnings.join(), /recovery, visibility did not run/);
});

test('words that it does not take, and what is not there, are refused with their code', async () => {
  assert.equal((await supervised.check('--only', 'everything')).code, 2);
  assert.equal((await supervised.check('--group', 'nobody')).code, 4);
  assert.equal((await supervised.check('assistant')).code, 2);
});

test('it disturbs nothing unasked: no terminal to ask on, or a turn of somebody', async () => {
  const host = readFileSync(join(install.paths.run, 'host.pid'), 'utf8');
  const alone = await supervised.check('--only', 'recovery');
  assert.equal(alone.code, 2, alone.err);
  assert.match(alone.err, /--yes/);
  const chat = await Terminal.open(install.control, 'busy');
  await chat.say('sleep 600');
  await until('it is at work', async () => assert.equal((await status()).conservation.inbound['running'], 1));
  const refused = await supervised.check('--only', 'recovery');
  assert.equal(refused.code, 5, refused.err);
  assert.match(refused.err, /at work on 1 message/);
  await chat.say('/stop');
  await chat.hears(/Stopped assistant/);
  assert.equal(readFileSync(join(install.paths.run, 'host.pid'), 'utf8'), host);
});

test('a group of somebody’s own with that name is left as it is', async () => {
  install.group(CHECK_GROUP, 'harness: probe\n');
  const { code, err } = await supervised.check('--only', 'traceability');
  assert.equal(code, 5, err);
  assert.match(err, /that no check has made/);
  assert.equal(readFileSync(install.paths.group(CHECK_GROUP).yaml, 'utf8'), 'harness: probe\n');
  remove(install.paths.group(CHECK_GROUP).folder);
});

test('killed while it holds the gateway: the install works on by itself; the next start and the next check take the rest away', async () => {
  const { child, said } = supervised.begin('--only', 'visibility', '--yes');
  await until('it holds the gateway', async () => assert.equal((await status()).gateway, 'lost', said.err), 240_000);
  const second = await supervised.check('--only', 'traceability');
  assert.equal(second.code, 5, 'one at a time');
  child.kill('SIGKILL');
  await install.ready();
  const chat = await Terminal.open(install.control, 'afterwards');
  await chat.say('are you there?');
  await chat.hears(/are you there\?/, 60_000);
  const left = await leftOver();
  for (const what of [CHECK_GROUP, CHECK_CHANNEL, 'glass.yaml', `the secret ${CHECK_CHANNEL}-token`])
    assert.ok(left.includes(what), `${what} was there to be removed: ${left}`);
  process.kill(Number(readFileSync(join(install.paths.run, 'host.pid'), 'utf8')), 'SIGKILL');
  await until('the next start has removed them', async () => {
    const found = (await leftOver()).filter((what) => !what.startsWith('the secret'));
    assert.deepEqual(found, []);
  });
  assert.equal((await supervised.check('--only', 'traceability')).code, 0);
  assert.deepEqual(await leftOver(), []);
  const { conservation } = await status();
  assert.deepEqual(conservation.violations, []);
});

test('a supervisor that an earlier check held, and that nobody let go, is let go by the next one', async () => {
  process.kill(supervised.up, 'SIGSTOP');
  assert.equal((await supervised.check('--only', 'traceability')).code, 0);
  assert.doesNotMatch(readFileSync(`/proc/${supervised.up}/status`, 'utf8'), /^State:\tT/m);
});

test('what a check that was killed has left goes with the next check, too', async () => {
  await install.control.call('check_group', { port: 9 });
  writeFileSync(join(install.paths.group(CHECK_GROUP).workspace, 'rest'), 'of an earlier one');
  assert.ok((await leftOver()).length > 0);
  const { code, err } = await supervised.check('--only', 'traceability');
  assert.equal(code, 0, err);
  assert.deepEqual(await leftOver(), []);
});

test('where nobody starts a dead host again, that is not tried, and is said', async () => {
  const alone = new SupervisedInstall();
  try {
    await alone.start('alone');
    const checked = await alone.check('--yes', '--only', 'recovery');
    const untested = claimsIn(checked, 'not tested');
    assert.deepEqual(
      untested.map((what) => what.split(' ')[1]),
      ['gateway', 'host'],
      checked.err,
    );
    assert.match(readFileSync(`${checked.report!.report}.md`, 'utf8'), /nobody starts gateway and host again/);
    assert.equal(checked.code, 0, checked.err);
  } finally {
    await alone.stop();
  }
});
