import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { addPerson, addRole, administers, approversOf, ensurePerson, link, mayUse } from '../../src/ledger/people.ts';
import { People } from '../../src/operations/people.ts';
import { isPairingCode, wordsOf } from '../../src/router/words.ts';
import { freshLedger } from '../fakes/ledger_kit.ts';

/** The operator is p1; `ops` is another owner. */
async function world(
  context: TestContext,
  operatorOwns = true,
): Promise<{ ledger: Ledger; people: People; ops: string }> {
  const ledger = await freshLedger(context);
  const ops = await ledger.write('seed', (db) => {
    if (operatorOwns) ensurePerson(db, 1, 'local', 'operator', 'root', 'owner');
    else link(db, 'local', 'operator', addPerson(db, 1, 'root'));
    return ensurePerson(db, 1, 'platform', 'ops', 'Ops', 'owner');
  });
  const input = {
    ledger,
    clock: systemClock,
    channels: new Map(),
    groups: () => ['work', 'home'],
    defaultGroup: 'work',
  };
  return { ledger, people: new People({ ...input, by: 'root', operator: () => 1 }), ops: `p${ops}` };
}

test('the last owner keeps role, identity and person; with another one they may go', async (context) => {
  const { people, ops } = await world(context, false);
  const conflict = { code: 'conflict', message: /last owner/ };
  await assert.rejects(people.remove(ops), conflict);
  await assert.rejects(people.role(ops, 'owner', '', true), conflict);
  await assert.rejects(people.unlink(ops, { channel: 'platform', handle: 'ops' }), conflict);
  const next = await people.add('Next', null, 'owner', '');
  await people.role(ops, 'owner', '', true);
  await assert.rejects(people.remove(next.id), conflict);
  assert.deepEqual((await people.remove(ops)).identities, []);
});

test('the operator of the machine stays an owner, whoever else is one', async (context) => {
  const { people } = await world(context);
  await assert.rejects(people.remove('p1'), { code: 'conflict', message: /operator of this machine/ });
  await assert.rejects(people.role('p1', 'owner', '', true), { code: 'conflict', message: /operator of this machine/ });
  await assert.rejects(people.unlink('p1', { channel: 'local', handle: 'operator' }), { code: 'conflict' });
  await assert.rejects(people.link('p2', { channel: 'local', handle: 'me' }), { code: 'usage' });
});

test('a change that is refused leaves nothing behind, and one that changes nothing is no event', async (context) => {
  const { people, ledger, ops } = await world(context);
  const events = () => ledger.db.get<{ n: number }>('SELECT count(*) AS n FROM events')!.n;
  await assert.rejects(people.add('A', { channel: 'platform', handle: 'ops' }, 'member', ''), { code: 'conflict' });
  await assert.rejects(people.add('A', null, 'member', 'nothing'), { code: 'not_found' });
  await assert.rejects(people.add('A', null, 'owner', 'work'), { code: 'usage' });
  await assert.rejects(people.role('p9', 'member', '', false), { code: 'not_found' });
  await people.role(ops, 'owner', '', false);
  await people.link(ops, { channel: 'platform', handle: 'ops' });
  assert.equal(events(), 0);
  assert.equal(people.list().length, 2);
});

test('who was removed can do nothing, and is shown nowhere; what they said keeps their name', async (context) => {
  const { people, ledger } = await world(context);
  const { id } = await people.add('Eve\u202e', { channel: 'platform', handle: 'eve' }, 'admin', 'work');
  assert.equal(people.show(id).name, 'EveU+202E');
  await people.remove(id);
  assert.throws(() => people.show(id), { code: 'not_found' });
  await assert.rejects(people.link(id, { channel: 'platform', handle: 'eve' }), { code: 'not_found' });
  const key = Number(id.slice(1));
  assert.deepEqual([mayUse(ledger.db, key, 'work'), administers(ledger.db, key, 'work')], [false, false]);
});

test('approvers: the admins of all the groups, then everybody’s, then owners', async (context) => {
  const ledger = await freshLedger(context);
  const { db } = ledger;
  const [owner, both, work, all] = ['o', 'b', 'w', 'a'].map((name) => addPerson(db, 1, name)) as [
    number,
    number,
    number,
    number,
  ];
  addRole(db, owner, 'owner', '');
  addRole(db, all, 'admin', '');
  for (const group of ['work', 'home']) addRole(db, both, 'admin', group);
  addRole(db, work, 'admin', 'work');
  addRole(db, work, 'member', '');
  assert.deepEqual(approversOf(db, ['work']), [both, work, all, owner]);
  assert.deepEqual(approversOf(db, ['work', 'home']), [both, all, owner]);
  assert.deepEqual(approversOf(db, []), [all, owner]);
  const may = (group: string) => [owner, both, work, all].map((person) => administers(db, person, group));
  assert.deepEqual(may('home'), [true, true, false, true]);
  assert.deepEqual(may(''), [true, false, false, true]);
});

const WORDS: [text: string, words: object | null][] = [
  ['pair ABCD-2345', { kind: 'pair', code: 'ABCD-2345' }],
  ['/start abcd2345 ', { kind: 'pair', code: 'abcd2345' }],
  ['/start', null],
  ['pair programming is fun', null],
  ['approve 7f3a', { kind: 'decide', code: '7f3a', choice: 'approve' }],
  ['Deny 7F3A', { kind: 'decide', code: '7f3a', choice: 'deny' }],
  ['choose 7f3a 02', { kind: 'decide', code: '7f3a', choice: '2' }],
  ['choose 7f3a', null],
  ['approve 7f3', null],
  ['approve 7f3a5', null],
  ['approve it', null],
  ['I approve 7f3a', null],
  ['approve 7f3a\nand more', null],
  ['quiet', { kind: 'quiet' }],
  ['quiet please', null],
  [`approve 7f3a${' '.repeat(100)}x`, null],
];

for (const [text, words] of WORDS)
  test(`${JSON.stringify(text.slice(0, 30))} is ${words === null ? 'talk' : 'for the host'}`, () =>
    assert.deepEqual(wordsOf(text, false), words));

test('a command that names a bot is for the host where that bot is ours', () => {
  const said: [text: string, words: object][] = [
    ['/approve@our_bot 7f3a', { kind: 'decide', code: '7f3a', choice: 'approve' }],
    ['/Deny@our.bot 7F3A', { kind: 'decide', code: '7f3a', choice: 'deny' }],
    ['/choose@our_bot 7f3a 2', { kind: 'decide', code: '7f3a', choice: '2' }],
    ['/answer@our_bot 7f3a 2', { kind: 'answer', code: '7f3a', text: '2' }],
  ];
  for (const [text, words] of said) assert.deepEqual([wordsOf(text, true), wordsOf(text, false)], [words, null], text);
});

test('a word of talk has not the form of a code', () => {
  for (const code of ['ABCD-2345', 'abcd2345']) assert.ok(isPairingCode(code));
  for (const word of ['programming', 'socks', 'ABCD-234U', 'ABCD-23456', 'ILLICITO']) assert.ok(!isPairingCode(word));
});
