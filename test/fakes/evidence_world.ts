import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { checkAudit } from '../../src/evidence/request_chain.ts';
import { type CheckEgress, type Verified, verify } from '../../src/evidence/verify.ts';
import { Audit } from '../../src/gateway/audit.ts';
import { NO_USAGE } from '../../src/gateway/usage.ts';
import { cutBefore, cutEvents, signerSeen } from '../../src/ledger/cuts.ts';
import type { Db } from '../../src/ledger/db.ts';
import { eventHead, recordEvent } from '../../src/ledger/events.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { cutBytes, DAY_MS, startOfKept } from '../../src/protocol/chain.ts';
import { seedChat } from './ledger_kit.ts';

/** A real ledger and a real record of requests that have told each other of their heads, over some days. */
const START_MS = Date.parse('2026-03-01T08:00:00Z');
const KEEP_MS = 30 * DAY_MS;
const NOTHING = { cost_micros: 0, tokens: 0 };

/** Signs as the gateway does; its key is in no vault here. */
export class Signer {
  readonly #key: KeyObject;
  readonly key: string;

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    this.#key = privateKey;
    this.key = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  }

  readonly sign = (bytes: Buffer): string => sign(null, bytes, this.#key).toString('base64');
}

export class EvidenceWorld {
  readonly signer = new Signer();
  readonly folder: string;
  ledger!: Ledger;
  audit!: Audit;
  now_ms = START_MS;
  readonly clock: Clock = {
    now: () => this.now_ms,
    micros: () => this.now_ms * 1000,
    monotonic: () => this.now_ms,
  };
  #places = { chat: 0, session: 0 };
  #messages = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(folder: string, start_ms = START_MS): Promise<EvidenceWorld> {
    const world = new EvidenceWorld(folder);
    world.now_ms = start_ms;
    world.ledger = await Ledger.open(world.ledgerPath, noFaults);
    world.ledger.db.raw.exec('PRAGMA synchronous = OFF');
    world.audit = new Audit(world.auditPath, world.clock, noFaults);
    await world.ledger.write('seed', (db) => {
      const session = seedChat(db);
      world.#places = { chat: session.chat_id, session: session.id };
      signerSeen(db, world.clock, world.signer.key);
      recordEvent(db, world.clock, 'host.started', {}, { version: '0', runtime: 'bubblewrap', pid: 1 });
    });
    return world;
  }

  get ledgerPath(): string {
    return join(this.folder, 'ledger.db');
  }

  get auditPath(): string {
    return join(this.folder, 'audit.db');
  }

  /** A message that is answered, with two requests of its turn that run side by side, and one that is refused. */
  async talk(): Promise<void> {
    this.now_ms += 1000;
    const asked = {
      ...{ session: 's1', group: 'assistant', method: 'POST', host: 'api.example.test', path: '/v1/messages' },
      ...{ rule: 'model', service: null },
    };
    const [first, second] = [1, 2].map(() => this.audit.begin(asked, 'anthropic', { cost_micros: 7, tokens: 3 }));
    this.audit.refused({ ...asked, path: '/denied' }, 403);
    const outcome = {
      ...{ ...NO_USAGE, decision: 'allow' as const, rule: null, status: 200 },
      ...{ request_bytes: 10, response_bytes: 20, redacted: 0 },
    };
    this.now_ms += 5;
    this.audit.end(second!, outcome, NOTHING);
    this.audit.end(first!, outcome, { cost_micros: 5, tokens: 2 });
    await this.ledger.write('talk', (db) => this.#said(db));
  }

  /** Each has the other's head. */
  async anchor(): Promise<void> {
    await this.ledger.write('anchor', (db) =>
      recordEvent(db, this.clock, 'egress.anchored', {}, { ...this.audit.head }),
    );
    const { id, hash } = eventHead(this.ledger.db);
    this.audit.hostHead({ event: id, hash });
  }

  /** Removes what is older than thirty days, of both; `limit`: events at once. */
  async cut(limit = 1000): Promise<void> {
    const before_ms = startOfKept(this.now_ms, KEEP_MS);
    for (;;) {
      const cut = cutBefore(this.ledger.db, before_ms, limit);
      if (cut === null) return;
      const signature = this.signer.sign(cutBytes('events', cut));
      this.audit.hostHead({ event: cut.through, hash: cut.hash }, cut.day);
      await this.audit.cut(before_ms, this.signer.sign);
      await this.ledger.write('prune', (db) => cutEvents(db, this.clock, { ...cut, signature }));
    }
  }

  /** Of these databases, or copies of them. */
  verify(db: Db = this.ledger.db, audit: Audit = this.audit): Promise<Verified> {
    const gateway: CheckEgress = { check: (anchors, cut) => checkAudit(audit, this.signer.key, { anchors, cut }) };
    return verify(db, gateway, { head: null, egress_head: null }, () => {});
  }

  /** Both files are whole on the disk afterwards. */
  close(): void {
    this.ledger.close();
    this.audit.close();
    const db = new DatabaseSync(this.auditPath);
    db.exec('PRAGMA journal_mode = DELETE');
    db.close();
  }

  #said(db: Db): void {
    const { clock, now_ms: now } = this;
    const { chat, session } = this.#places;
    const key = `m${++this.#messages}`;
    const message = db.insert(
      `INSERT INTO messages (dedupe_key, chat_id, sender, platform_id, text, sent_ms, received_ms) VALUES (?, ?, 'Alice', ?, 'x', ?, ?)`,
      ...[key, chat, key, now, now],
    );
    recordEvent(db, clock, 'message.received', { message }, { channel: 'local', chat: 'main', sender: 'é', bytes: 1 });
    const turn = db.insert(
      "INSERT INTO turns (session_id, state, attempt, deaths, harness, started_ms, ended_ms) VALUES (?, 'settled', 1, 0, 'probe', ?, ?)",
      ...[session, now, now],
    );
    db.run(
      "INSERT INTO inbound (message_id, session_id, state, turn_id, updated_ms) VALUES (?, ?, 'answered', ?, ?)",
      ...[message, session, turn, now],
    );
    const links = { session, turn };
    recordEvent(db, clock, 'turn.started', links, { attempt: 1, messages: 1, warm: true, harness: 'probe' });
    recordEvent(db, clock, 'turn.settled', links, { outcome: 'answered', taken: 1, returned: 0 });
    const outbound = db.insert(
      `INSERT INTO outbound (chat_id, kind, session_id, turn_id, body, key, state, attempts, receipt, created_ms, updated_ms)
       VALUES (?, 'reply', ?, ?, 'x', ?, 'sent', 1, 'r', ?, ?)`,
      ...[chat, session, turn, key, now, now],
    );
    recordEvent(db, clock, 'delivery.sent', { ...links, outbound }, { receipt: 'r "quoted"\n' });
    const approval = db.insert(
      `INSERT INTO approvals (kind, object_hash, object, state, asked_by, decided_by, created_ms, expires_ms)
       VALUES ('egress', '', '{}', 'done', 'assistant', 1, ?, ?)`,
      ...[now, now],
    );
    const who = { person: 'p1', by: 'Alice', as: 'owner', reason: '' };
    recordEvent(db, clock, 'approval.decided', links, { approval: `h${approval}`, allowed: true, ...who });
  }
}
