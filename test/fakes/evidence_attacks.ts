import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { Signer } from './evidence_world.ts';
import type { Mutations } from './mutations.ts';

/**
 * What somebody does who can write a file of evidence, and knows how it is made. The hashes here are made by this file's own code. What comes
 * after the last head that the other side has is nobody's knowledge: `known` is the last link that is.
 */
type Value = string | number | null | Uint8Array;
type Row = Record<string, Value>;

interface Attack {
  what: string;
  act(db: DatabaseSync, random: Mutations, known: number): void;
}

const sha = (...words: Value[]): string => createHash('sha256').update(JSON.stringify(words)).digest('hex');
const hex = (value: Value): string => Buffer.from(value as Uint8Array).toString('hex');

function rows(db: DatabaseSync, table: string, key: string, where = '1'): Row[] {
  return db.prepare(`SELECT * FROM ${table} WHERE ${where} ORDER BY ${key}`).all() as Row[];
}

function put(db: DatabaseSync, table: string, row: Row, verb = 'INSERT'): void {
  const names = Object.keys(row);
  const marks = names.map(() => '?').join(', ');
  db.prepare(`${verb} INTO ${table} (${names.join(', ')}) VALUES (${marks})`).run(...Object.values(row));
}

/** Another value than it is, of a kind that the column takes. */
function other(random: Mutations, name: string, value: Value): Value {
  if (name === 'decision') return random.pick(['allow', 'deny', 'error'].filter((word) => word !== value));
  if (value === null) return TEXTS.has(name) ? 'x' : 7;
  if (NULLABLE.has(name) && random.chance(0.3)) return null;
  if (typeof value === 'number') return value + random.pick([-1, 1, 1000]);
  if (typeof value === 'string') return random.pick([`${value}x`, value.slice(1), value === '{}' ? '{"a":1}' : '{}']);
  return Buffer.from(value).map((byte, at) => (at === 3 ? byte ^ 1 : byte));
}

const LATER = 9_000_000_000_000;
const TEXTS = new Set(['service', 'secret', 'model', 'cut', 'begun_hash', 'ended_hash']);
const NULLABLE = new Set([
  ...['message_id', 'session_id', 'turn_id', 'outbound_id', 'hash', 'ended_ms', 'status', 'secret'],
  ...['begun_seq', 'begun_hash', 'ended_seq', 'ended_hash'],
]);

function change(db: DatabaseSync, random: Mutations, table: string, key: string, row: Row): void {
  const name = random.pick(Object.keys(row).filter((column) => column !== 'one'));
  const value = other(random, name, row[name]!);
  // Of a cut nothing can be missing.
  if (table === 'cut' && value === null) return change(db, random, table, key, row);
  db.prepare(`UPDATE OR REPLACE ${table} SET ${name} = ? WHERE ${key} = ?`).run(value, row[key]!);
}

function swap(db: DatabaseSync, table: string, key: string, one: Row, two: Row): void {
  db.exec(`DELETE FROM ${table} WHERE ${key} IN (${one[key]}, ${two[key]})`);
  put(db, table, { ...one, [key]: two[key]! });
  put(db, table, { ...two, [key]: one[key]! });
}

function two(random: Mutations, list: Row[]): [Row, Row] {
  const one = random.pick(list);
  return [one, random.pick(list.filter((row) => row !== one))];
}

/** Everything after `from` fits again, as far as this file goes. */
function rechainEvents(db: DatabaseSync): void {
  const cut = rows(db, 'cut', 'one')[0];
  let before = cut === undefined ? sha('', 0, 'before the chain') : String(cut['hash']);
  for (const row of rows(db, 'events', 'id')) {
    const { id, at_us, kind, message_id, session_id, turn_id, outbound_id, data } = row;
    before = sha(before, id!, at_us!, kind!, message_id!, session_id!, turn_id!, outbound_id!, data!);
    db.prepare('UPDATE events SET hash = ? WHERE id = ?').run(Buffer.from(before, 'hex'), id!);
  }
}

function renumberEvents(db: DatabaseSync): void {
  const first = Number(rows(db, 'cut', 'one')[0]?.['through'] ?? 0);
  rows(db, 'events', 'id').forEach(({ id }, at) => {
    db.prepare('UPDATE events SET id = ? WHERE id = ?').run(first + at + 1, id!);
  });
}

/** A cut that nobody has signed for, or with a key of one's own. */
function forge(db: DatabaseSync, random: Mutations, cut: Row, tables: [string, string, number][], own: boolean): void {
  const signer = new Signer();
  const { day, through, seq, hash, count } = cut;
  const record = own ? 'events' : 'requests';
  const text = JSON.stringify(['glassclaw cut', record, day, through, seq, hash, count]);
  const old = rows(db, 'cut', 'one')[0]?.['signature'] ?? 'AAAA';
  const signature = random.chance(0.7) ? signer.sign(Buffer.from(text)) : old;
  put(db, 'cut', { one: 1, ...cut, signature }, 'INSERT OR REPLACE');
  for (const [table, key, last] of tables) db.exec(`DELETE FROM ${table} WHERE ${key} <= ${last}`);
  if (own && random.chance(0.5)) put(db, 'signers', { key: signer.key, seen_ms: 0 });
}

export const EVENT_ATTACKS: readonly Attack[] = [
  {
    what: 'a column is changed',
    act: (db, random) => change(db, random, 'events', 'id', random.pick(rows(db, 'events', 'id'))),
  },
  {
    what: 'a row is deleted',
    act: (db, random) => db.exec(`DELETE FROM events WHERE id = ${random.pick(rows(db, 'events', 'id'))['id']}`),
  },
  {
    what: 'a row is inserted',
    act: (db, random) => {
      const list = rows(db, 'events', 'id');
      const [first, last] = [Number(list[0]!['id']), Number(list.at(-1)!['id'])];
      const id = random.pick([-3, 0, first - 1, last + 1, last + 2]);
      const hash = random.pick([null, Buffer.alloc(32, 7), random.pick(list)['hash']!]);
      put(db, 'events', { ...random.pick(list), id, hash });
    },
  },
  {
    what: 'a row is inserted, and all fits again',
    act: (db, random) => {
      const list = rows(db, 'events', 'id');
      const at = random.below(list.length - 1);
      for (const { id } of list.slice(at).reverse()) db.exec(`UPDATE events SET id = id + 1 WHERE id = ${id}`);
      put(db, 'events', { ...random.pick(list), id: Number(list[at]!['id']) });
      rechainEvents(db);
    },
  },
  { what: 'rows are swapped', act: (db, random) => swap(db, 'events', 'id', ...two(random, rows(db, 'events', 'id'))) },
  {
    what: 'rows are swapped, and all fits again',
    act: (db, random) => {
      swap(db, 'events', 'id', ...two(random, rows(db, 'events', 'id')));
      rechainEvents(db);
    },
  },
  {
    what: 'the end is cut off',
    act: (db, random) =>
      db.exec(`DELETE FROM events WHERE id > ${random.pick(rows(db, 'events', 'id').slice(0, -1))['id']}`),
  },
  { what: 'everything is deleted', act: (db) => db.exec('DELETE FROM events; DELETE FROM cut') },
  {
    what: 'the beginning is cut off',
    act: (db, random) =>
      db.exec(`DELETE FROM events WHERE id < ${random.pick(rows(db, 'events', 'id').slice(1))['id']}`),
  },
  {
    what: 'a row is deleted, and all is numbered and fits again',
    act: (db, random) => {
      db.exec(`DELETE FROM events WHERE id = ${random.pick(rows(db, 'events', 'id'))['id']}`);
      renumberEvents(db);
      rechainEvents(db);
    },
  },
  {
    what: 'a column is changed, and all fits again',
    act: (db, random) => {
      const row = random.pick(rows(db, 'events', 'id'));
      const name = random.pick(Object.keys(row).filter((column) => !['id', 'hash'].includes(column)));
      db.prepare(`UPDATE events SET ${name} = ? WHERE id = ?`).run(other(random, name, row[name]!), row['id']!);
      rechainEvents(db);
    },
  },
  {
    what: 'an anchor is changed, and all fits again',
    act: (db, random) => {
      const { id, data } = random.pick(rows(db, 'events', 'id', "kind = 'egress.anchored'"));
      const anchor = JSON.parse(String(data)) as { seq: number; hash: string };
      const changed = random.chance(0.5) ? { ...anchor, seq: anchor.seq + 1 } : { ...anchor, hash: sha(anchor.hash) };
      db.prepare('UPDATE events SET data = ? WHERE id = ?').run(JSON.stringify(changed), id!);
      rechainEvents(db);
    },
  },
  {
    what: 'a cut is forged',
    act: (db, random) => {
      const { id, hash } = random.pick(rows(db, 'events', 'id').slice(0, -1));
      const through = Number(id);
      forge(
        db,
        random,
        { day: '2026-03-20', through, seq: through, hash: hex(hash!), count: through },
        [['events', 'id', through]],
        true,
      );
    },
  },
  {
    what: 'the cut is changed, or gone',
    act: (db, random) => {
      const [cut] = rows(db, 'cut', 'one');
      if (cut === undefined) db.exec('DELETE FROM events WHERE id = (SELECT min(id) FROM events)');
      else if (random.chance(0.7)) change(db, random, 'cut', 'one', cut);
      else db.exec(random.pick(['DELETE FROM cut', 'DELETE FROM signers']));
    },
  },
  {
    what: 'a row says what no event says',
    act: (db, random) =>
      db.exec(
        random.pick([
          "UPDATE outbound SET state = 'rejected' WHERE id = (SELECT max(id) FROM outbound)",
          "UPDATE outbound SET state = 'uncertain' WHERE id = (SELECT max(id) FROM outbound)",
          `INSERT INTO turns (session_id, state, attempt, deaths, harness, started_ms) VALUES (1, 'settled', 1, 0, 'x', ${LATER})`,
          `INSERT INTO messages (dedupe_key, chat_id, sender, platform_id, text, sent_ms, received_ms) VALUES ('x', 1, '', '', '', 0, ${LATER})`,
        ]),
      ),
  },
];

const BEGUN = ['id', 'session', 'group_name', 'at_ms', 'method', 'host', 'path', 'service', 'secret'];
const ENDED = [
  ...['id', 'ended_ms', 'decision', 'rule', 'status', 'model', 'request_bytes', 'response_bytes', 'input_tokens'],
  ...['output_tokens', 'redacted', 'cost_micros', 'tokens'],
];

/** As far as this file goes, all fits again. */
function rechainRequests(db: DatabaseSync): void {
  const cut = rows(db, 'cut', 'one')[0];
  let [before, seq] = [String(cut?.['hash'] ?? ''), Number(cut?.['seq'] ?? 0)];
  type Link = { old: number; table: string; key: Value; name: 'begun' | 'ended' | ''; what: (row: Row) => Value[] };
  const links: Link[] = rows(db, 'requests', 'id').flatMap((row): Link[] => [
    {
      old: Number(row['begun_seq']),
      table: 'requests',
      key: row['id']!,
      name: 'begun',
      what: (now) => ['begun', ...BEGUN.map((name) => now[name]!)],
    },
    {
      old: Number(row['ended_seq']),
      table: 'requests',
      key: row['id']!,
      name: 'ended',
      what: (now) => ['ended', ...ENDED.map((name) => now[name]!)],
    },
  ]);
  for (const row of rows(db, 'heads', 'seq'))
    links.push({
      old: Number(row['seq']),
      table: 'heads',
      key: row['seq']!,
      name: '',
      what: (now) => ['head', now['at_ms']!, now['event']!, now['event_hash']!, now['cut']!],
    });
  for (const { table, key, name, what } of links.sort((a, b) => a.old - b.old)) {
    const id = table === 'heads' ? 'seq' : 'id';
    const row = rows(db, table, id, `${id} = ${key}`)[0]!;
    seq += 1;
    before = sha(before, seq, ...what(row));
    const names = name === '' ? ['seq', 'hash'] : [`${name}_seq`, `${name}_hash`];
    db.prepare(`UPDATE ${table} SET ${names[0]} = ?, ${names[1]} = ? WHERE ${id} = ?`).run(seq, before, key);
  }
}

/** Rows whose last link the ledger has a head of, or of one after it. */
const knownRequests = (db: DatabaseSync, known: number): Row[] => rows(db, 'requests', 'id', `ended_seq <= ${known}`);
const knownHeads = (db: DatabaseSync, known: number): Row[] => rows(db, 'heads', 'seq', `seq <= ${known}`);

export const REQUEST_ATTACKS: readonly Attack[] = [
  {
    what: 'a column is changed',
    act: (db, random) => change(db, random, 'requests', 'id', random.pick(rows(db, 'requests', 'id'))),
  },
  {
    what: 'a head is changed',
    act: (db, random) => change(db, random, 'heads', 'seq', random.pick(rows(db, 'heads', 'seq'))),
  },
  {
    what: 'a row is deleted',
    act: (db, random, known) =>
      db.exec(`DELETE FROM requests WHERE id = ${random.pick(knownRequests(db, known))['id']}`),
  },
  {
    what: 'a head is deleted',
    act: (db, random, known) => db.exec(`DELETE FROM heads WHERE seq = ${random.pick(knownHeads(db, known))['seq']}`),
  },
  {
    what: 'a row is inserted',
    act: (db, random) => {
      const list = rows(db, 'requests', 'id');
      const id = random.pick([-5, 1, Number(list[0]!['id']) - 1, Number(list.at(-1)!['id']) + 1]);
      const far = Number(rows(db, 'heads', 'seq').at(-1)!['seq']) + 10;
      const links = random.pick<Row>([
        {},
        { begun_seq: null, ended_seq: null },
        { begun_seq: far, ended_seq: far + 1 },
      ]);
      put(db, 'requests', { ...random.pick(list), id, ...links });
    },
  },
  {
    what: 'a head is inserted',
    act: (db, random) => {
      const list = rows(db, 'heads', 'seq');
      const last = Number(list.at(-1)!['seq']);
      const free = Number(rows(db, 'requests', 'id').at(-1)!['begun_seq']);
      put(db, 'heads', { ...random.pick(list), seq: random.pick([-1, 0, free, last + 1, last + 5]) });
    },
  },
  {
    what: 'rows are swapped',
    act: (db, random) => swap(db, 'requests', 'id', ...two(random, rows(db, 'requests', 'id'))),
  },
  {
    what: 'the end is cut off',
    act: (db, random, known) => {
      const last = Number(random.pick(knownRequests(db, known))['begun_seq']);
      db.exec(
        `DELETE FROM requests WHERE begun_seq >= ${last} OR ended_seq >= ${last}; DELETE FROM heads WHERE seq >= ${last}`,
      );
    },
  },
  {
    what: 'the beginning is cut off',
    act: (db, random) => {
      const first = random.pick(rows(db, 'requests', 'id').slice(1));
      db.exec(`DELETE FROM requests WHERE id < ${first['id']}; DELETE FROM heads WHERE seq < ${first['begun_seq']}`);
    },
  },
  { what: 'everything is deleted', act: (db) => db.exec('DELETE FROM requests; DELETE FROM heads; DELETE FROM cut') },
  {
    what: 'a column is changed, and all fits again',
    act: (db, random, known) => {
      const row = random.pick(knownRequests(db, known));
      const name = random.pick([...BEGUN, ...ENDED].filter((column) => column !== 'id'));
      db.prepare(`UPDATE requests SET ${name} = ? WHERE id = ?`).run(other(random, name, row[name]!), row['id']!);
      rechainRequests(db);
    },
  },
  {
    what: 'a row is deleted, and all fits again',
    act: (db, random, known) => {
      db.exec(`DELETE FROM requests WHERE id = ${random.pick(knownRequests(db, known))['id']}`);
      rechainRequests(db);
    },
  },
  {
    what: 'a head is changed, and all fits again',
    act: (db, random, known) => {
      const { seq, event_hash } = random.pick(knownHeads(db, known));
      db.prepare('UPDATE heads SET event_hash = ? WHERE seq = ?').run(sha(event_hash!), seq!);
      rechainRequests(db);
    },
  },
  {
    what: 'a cut is forged',
    act: (db, random) => {
      const [row] = rows(db, 'requests', 'id').slice(-2);
      const [through, seq] = [Number(row!['id']), Number(row!['ended_seq'])];
      const cut = { day: '2026-03-20', through, seq, hash: row!['ended_hash']!, count: 5 };
      forge(
        db,
        random,
        cut,
        [
          ['requests', 'id', through],
          ['heads', 'seq', seq],
        ],
        false,
      );
    },
  },
  {
    what: 'the cut is changed, or gone',
    act: (db, random) => {
      const [cut] = rows(db, 'cut', 'one');
      if (cut === undefined) db.exec('DELETE FROM requests WHERE id = (SELECT min(id) FROM requests)');
      else if (random.chance(0.3)) db.exec('DELETE FROM cut');
      else change(db, random, 'cut', 'one', cut);
    },
  },
];
