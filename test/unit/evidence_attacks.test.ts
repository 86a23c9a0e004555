import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { noFaults } from '../../src/base/faults.ts';
import { Audit } from '../../src/gateway/audit.ts';
import { Db } from '../../src/ledger/db.ts';
import { DAY_MS } from '../../src/protocol/chain.ts';
import { EVENT_ATTACKS, REQUEST_ATTACKS } from '../fakes/evidence_attacks.ts';
import { EvidenceWorld } from '../fakes/evidence_world.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';
import { fuzzOf, Mutations } from '../fakes/mutations.ts';
import { randomOf } from '../fakes/random.ts';

/** A thousand things that somebody does to the files of evidence, each of which is found; and what nobody has touched holds each time. */
const { seed: FIRST, cases: CASES } = fuzzOf(1000);

interface Place {
  world: EvidenceWorld;
  /** Of the ledger, for what is undone again. */
  db: Db;
  audit: Audit;
  /** The last link of the requests that the ledger has. */
  known: number;
  copies: number;
}

async function place(context: TestContext, isCut: boolean): Promise<Place> {
  const world = await EvidenceWorld.open(temporaryFolder(context));
  for (let i = 0; i < 4; i += 1) {
    await world.talk();
    await world.anchor();
    if (isCut) world.now_ms += 12 * DAY_MS;
  }
  if (isCut) await world.cut(10);
  await world.talk();
  const known = world.audit.head.seq;
  await world.anchor();
  world.close();
  const raw = new DatabaseSync(world.ledgerPath);
  const audit = new Audit(world.auditPath, world.clock, noFaults);
  context.after(() => {
    raw.close();
    audit.close();
  });
  return { world, db: new Db(raw), audit, known, copies: 0 };
}

async function attackEvents(
  { world, db, audit, known }: Place,
  random: Mutations,
  index: number,
): Promise<string | null> {
  db.raw.exec('BEGIN; PRAGMA defer_foreign_keys = ON; DROP TRIGGER events_no_update; DROP TRIGGER events_no_delete');
  try {
    EVENT_ATTACKS[index]!.act(db.raw, random, known);
    return (await world.verify(db, audit)).broken;
  } finally {
    db.raw.exec('ROLLBACK');
  }
}

/** On a copy, because the gateway alone has its file open. */
async function attackRequests(here: Place, random: Mutations, index: number): Promise<string | null> {
  const { world, db, known } = here;
  here.copies += 1;
  const copy = join(world.folder, `copy-${here.copies}.db`);
  copyFileSync(world.auditPath, copy);
  const raw = new DatabaseSync(copy);
  raw.exec('PRAGMA synchronous = OFF; BEGIN');
  REQUEST_ATTACKS[index]!.act(raw, random, known);
  raw.exec('COMMIT');
  raw.close();
  const audit = new Audit(copy, world.clock, noFaults);
  try {
    return (await world.verify(db, audit)).broken;
  } finally {
    audit.close();
  }
}

test(`${CASES} manipulations of events and requests are all found, and what is untouched holds`, {
  timeout: 600_000,
}, async (context) => {
  const places = [await place(context, false), await place(context, true)];
  const missed: string[] = [];
  const found = new Set<string>();
  for (let seed = FIRST; seed < FIRST + CASES; seed += 1) {
    const here = places[seed % 2]!;
    const random = new Mutations(randomOf(seed));
    assert.equal((await here.world.verify(here.db, here.audit)).broken, null, `seed ${seed}: untouched`);
    const isEvents = random.chance(0.6);
    const attacks = isEvents ? EVENT_ATTACKS : REQUEST_ATTACKS;
    const index = random.below(attacks.length);
    const broken = await (isEvents ? attackEvents : attackRequests)(here, random, index);
    const what = `${isEvents ? 'events' : 'requests'}: ${attacks[index]!.what}`;
    if (broken === null) missed.push(`seed ${seed} (${seed % 2 === 1 ? 'with a cut' : 'whole'}): ${what}`);
    else found.add(what);
  }
  assert.deepEqual(missed, []);
  if (CASES >= 1000) assert.equal(found.size, EVENT_ATTACKS.length + REQUEST_ATTACKS.length);
});
