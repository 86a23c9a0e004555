import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { after, afterEach, before, test } from 'node:test';
import { SANDBOXES_MAX } from '../../src/base/limits/messages.ts';
import { Install, until } from '../fakes/install.ts';
import { startModel } from '../fakes/model.ts';
import { rows, sessionOf, statesOf, Terminal } from '../fakes/terminal.ts';

/** When sandboxes start, and when they start anew: as seldom as what they run allows, and none as late as the last of many. */

const install = new Install();
const model = await startModel();

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 10m}\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(async () => {
  await install.stop();
  await model.close();
});

interface Hop {
  id: number;
  session: string;
  kind: string;
  data: string;
}

/** Of sandboxes, in their order, since an event. */
function hops(after = 0): Hop[] {
  const all = rows<Hop>(
    install,
    "SELECT id, 's' || session_id AS session, kind, data FROM events WHERE kind LIKE 'sandbox.%' ORDER BY id",
  );
  return all.filter(({ id }) => id > after);
}

const kindsOf = (session: string, after: number): string[] =>
  hops(after)
    .filter((hop) => hop.session === session)
    .map(({ kind }) => kind);

async function answered(chat: string, count: number): Promise<void> {
  await until(`${chat} is answered`, async () =>
    assert.deepEqual(statesOf(install, chat), Array(count).fill('answered')),
  );
}

const say = (chat: string, text: string): Promise<unknown> => new Terminal(install.control, chat).say(text);

test('a secret of somebody else ends no sandbox', async () => {
  await say('main', 'hello');
  await answered('main', 1);
  const before = hops().at(-1)!.id;
  await install.secret('of-somebody-else', 'fake-secret-value');
  await say('main', 'hello again');
  await answered('main', 2);
  assert.deepEqual(kindsOf(sessionOf(install, 'main'), before), []);
});

/** The host dies, and the one after it has begun the next attempt. Returns what its sandbox's session went through. */
async function restart(): Promise<string[]> {
  const before = hops().at(-1)!.id;
  const turns = (): number => rows(install, "SELECT 1 FROM events WHERE kind = 'turn.started'").length;
  const begun = turns();
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await until('its next attempt has begun', async () => assert.equal(turns(), begun + 1));
  return kindsOf(sessionOf(install, 'main'), before);
}

test('after a restart a waiting message costs one start', async () => {
  await say('main', 'sleep 2');
  await until('it runs', async () => assert.equal(statesOf(install, 'main').at(-1), 'running'));
  assert.deepEqual(await restart(), ['sandbox.starting', 'sandbox.ready']);
  await answered('main', 3);
});

test('many at once begin one after the other: the first is ready before the last begins', async (context) => {
  const many = 4 * availableParallelism() + 4;
  if (many > SANDBOXES_MAX) return context.diagnostic('as many processors as places for sandboxes: nobody waits');
  const before = hops().at(-1)!.id;
  const names = Array.from({ length: many }, (_, index) => `many-${index}`);
  await Promise.all(names.map((name) => say(name, 'hello')));
  for (const name of names) await answered(name, 1);
  const ids = (kind: string): number[] =>
    hops(before)
      .filter((hop) => hop.kind === kind)
      .map(({ id }) => id);
  assert.equal(ids('sandbox.starting').length, many);
  assert.ok(ids('sandbox.ready')[0]! < ids('sandbox.starting').at(-1)!, 'all of them began at once');
});

test('a group that waits for its model’s secret is started anew for it, and only once more after a restart', async () => {
  await install.change('assistant', `harness: auto\nmodel: {upstream: "${model.origin}"}\n`);
  await say('main', 'hello');
  await answered('main', 4);
  const before = hops().at(-1)!.id;
  await install.secret('anthropic', 'fake-secret-value');
  model.mode = 'hang';
  await say('main', 'hello');
  await until('the model is asked', async () => assert.ok(model.requests.length > 0));
  const anew = hops(before).filter(({ session }) => session === sessionOf(install, 'main'));
  assert.deepEqual(
    anew.map(({ kind, data }) => [kind, JSON.parse(data).reason ?? JSON.parse(data).harness ?? '']),
    [
      ['sandbox.ended', 'the set of secrets changed'],
      ['sandbox.starting', 'claude'],
      ['sandbox.ready', ''],
    ],
  );
  const restarted = restart();
  model.mode = 'ok';
  assert.deepEqual(await restarted, ['sandbox.starting', 'sandbox.ready']);
  await answered('main', 5);
});
