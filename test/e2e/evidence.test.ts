import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, before, test } from 'node:test';
import type { Trace } from '../../src/evidence/trace.ts';
import type { Verified } from '../../src/evidence/verify.ts';
import { DAY_MS } from '../../src/protocol/chain.ts';
import { checkExport } from '../fakes/evidence_check.ts';
import { EvidenceWorld } from '../fakes/evidence_world.ts';
import { Install, until } from '../fakes/install.ts';
import { ask } from '../fakes/scripted_group.ts';
import { Terminal } from '../fakes/terminal.ts';

/** Evidence of an install that runs: whole over deaths of either process, cut by the gateway's signature, and checked by somebody else. */
const OLD_DAYS = 3;
const DAY = (at_ms: number): string => new Date(at_ms).toISOString().slice(0, 10);
let install: Install;
let old_ms: number;

/** The install was last talked to 500 days ago. */
before(async () => {
  install = new Install();
  install.install('runtime: bubblewrap\n');
  install.group('assistant', 'harness: probe\n');
  old_ms = Date.now() - 500 * DAY_MS;
  const world = await EvidenceWorld.open(install.paths.home, old_ms);
  for (let day = 0; day < OLD_DAYS; day += 1) {
    await world.talk();
    await world.anchor();
    world.now_ms += DAY_MS;
  }
  world.close();
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

function verified(...words: string[]): { status: number | null; found: Verified; err: string } {
  const { status, stdout, stderr } = install.glass('events', 'verify', '--json', ...words);
  return { status, found: stdout === '' ? (null as unknown as Verified) : JSON.parse(stdout), err: stderr };
}

async function talk(text: string): Promise<void> {
  const chat = await Terminal.open(install.control, 'main');
  await ask(chat, text);
  chat.close();
}

test('events and requests that are too old go by a signed cut, and a trace says so', async () => {
  await until('the cut', async () => assert.ok(verified().found.cut !== null));
  const { status, found } = verified();
  const last = DAY(old_ms + (OLD_DAYS - 1) * DAY_MS);
  assert.deepEqual([status, found.broken], [0, null]);
  assert.ok(found.cut! >= last && found.egress_cut! >= last, JSON.stringify(found));
  assert.match(
    install.glass('events', 'verify').stdout,
    /^holds: \d+ events \(those up to \d{4}-\d\d-\d\d were removed, by a signed cut\)/,
  );
  const trace = await install.control.call<Trace>('trace', { message: 'm1' });
  assert.deepEqual([trace.cut, trace.steps.length], [found.cut, 0]);
  assert.match(
    install.glass('trace', 'm1').stdout,
    /its steps up to the end of \d{4}-\d\d-\d\d were removed: glass.yaml, events.keep/,
  );
});

test('what is recorded holds while it talks, and after each of the two was killed in the middle', async () => {
  await talk('hello');
  assert.deepEqual([verified().status, verified().found.broken], [0, null]);
  for (const part of ['gateway', 'host'] as const) {
    const chat = await Terminal.open(install.control, 'main');
    await chat.say('sleep 1');
    await install.end(part, 'SIGKILL');
    chat.close();
    install.spawn(part);
    await install.ready();
    await talk('and again');
    const { status, found } = verified();
    assert.deepEqual([status, found.broken], [0, null], part);
    assert.ok(found.heads >= 1 && found.anchors >= 1, JSON.stringify(found));
  }
});

test('heads stand in both logs, and such a line is compared from outside', async () => {
  const heads = (file: string) =>
    readFileSync(join(install.paths.logs, file), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"chain.anchored"'))
      .map((line) => JSON.parse(line) as { events: string; egress: string });
  const [host, gateway] = [heads('host.log').at(-1)!, heads('gateway.log').at(-1)!];
  for (const { events, egress } of [host, gateway]) {
    const { status, found } = verified('--head', events, '--egress-head', egress);
    assert.deepEqual([status, found.broken], [0, null]);
  }
  const [id] = host.events.split(':');
  const other = verified('--head', `${id}:${'0'.repeat(64)}`);
  assert.equal(other.status, 1);
  assert.match(other.found.broken!, /is not the one of the head that was given: the events were made anew/);
  assert.match(other.found.fix!, /keep ledger.db, audit.db and the logs as they are/);
  assert.match(verified('--egress-head', `1000000:${'0'.repeat(64)}`).found.broken!, /its end was cut off/);
  assert.equal(verified('--head', 'x').status, 2);
  assert.equal(verified('--head', `1:${'0'.repeat(64)}`).status, 4);
});

test('an export is checked by other code, whole, by days, and after a change', () => {
  const exported = (...words: string[]): string => install.glass('events', 'export', ...words).stdout;
  const least = verified().found.events;
  const whole = exported();
  const most = verified().found.events;
  assert.equal(checkExport(whole), null);
  const today = exported('--from', DAY(Date.now()), '--to', DAY(Date.now()));
  assert.equal(checkExport(today), null);
  const lines = whole.trimEnd().split('\n');
  // The install goes on meanwhile: an event may be written between the three.
  const count = lines.length + JSON.parse(lines[0]!).before.id - 2;
  assert.ok(least <= count && count <= most, `${least} ${count} ${most}`);
  const changed = (at: number, line: string | null): string =>
    [...lines.slice(0, at), ...(line === null ? [] : [line]), ...lines.slice(at + 1)].join('\n');
  assert.match(checkExport(changed(3, lines[3]!.replace(/"at_us":\d/, '"at_us":9'))) ?? '', /does not fit/);
  assert.match(checkExport(changed(3, null)) ?? '', /is missing/);
  assert.match(checkExport(changed(0, lines[0]!.replace(/"count":\d/, '"count":7'))) ?? '', /the cut is not signed/);
  const none = install.glass('events', 'export', '--to', '2001-01-01');
  assert.equal(none.status, 4);
  assert.match(none.stderr, /there are no events of these days/);
  assert.equal(install.glass('events', 'export', '--from', 'yesterday').status, 2);
});

test('a change behind the back of the host is found, with what to do', async () => {
  await install.end('host', 'SIGTERM');
  const db = new DatabaseSync(install.paths.ledger);
  db.exec("DROP TRIGGER events_no_update; UPDATE events SET data = '{}' WHERE id = (SELECT max(id) - 3 FROM events)");
  db.close();
  install.spawn('host');
  await install.ready();
  const { status, stdout } = install.glass('events', 'verify');
  assert.equal(status, 1);
  assert.match(
    stdout,
    /^broken: event \d+ does not fit: it or one before it was changed\nWhat to do: keep ledger.db.* after \d{4}-/,
  );
});
