import { DatabaseSync } from 'node:sqlite';
import { TURN_DEATHS_MAX } from '../../src/base/limits/messages.ts';
import type { Expectation } from './scenario.ts';
import { eventually, type Journal, type World } from './world.ts';

/** What went wrong in a run, from the platform's journal and the ledger's own rows. Empty lists: nothing did. */
export interface Verdict {
  lost: string[];
  duplicated: string[];
  /** Inbound rows or turns that were settled twice, sends that left twice for one (turn, ordinal), questions asked twice. */
  twice: string[];
  /** Broken laws and states that should not be there. */
  laws: string[];
}

const SETTLED_TWICE =
  "SELECT turn_id AS id FROM events WHERE kind = 'turn.settled' GROUP BY turn_id HAVING count(*) > 1";
const ENTRY_TWICE = `SELECT x.inbound_id AS id FROM turn_inbound x JOIN turns t ON t.id = x.turn_id
  JOIN inbound i ON i.id = x.inbound_id WHERE t.state = 'settled' AND i.turn_id = t.id GROUP BY x.inbound_id HAVING count(*) > 1`;
const SEND_TWICE = `SELECT turn_id AS id FROM outbound WHERE kind = 'send' AND state = 'sent' AND chunk = 0
  GROUP BY turn_id, ordinal, send_hash HAVING count(*) > 1`;
const ASKED_TWICE = 'SELECT turn_id AS id FROM asks GROUP BY turn_id, hash HAVING count(*) > 1';
const UNANSWERED = "SELECT id FROM asks WHERE state NOT IN ('answered', 'expired')";
const UNCERTAIN = "SELECT id FROM outbound WHERE state = 'uncertain'";
const DRAFTS = "SELECT turn_id AS id FROM drafts WHERE state NOT IN ('replaced', 'refused')";
const UNDECIDED = "SELECT id FROM approvals WHERE state IN ('pending', 'approved')";
const GIVEN_UP = `SELECT c.platform_id AS chat FROM messages m JOIN inbound i ON i.message_id = m.id JOIN chats c ON c.id = m.chat_id
  WHERE instr(m.text, ?) > 0 AND i.state = 'failed' AND i.deaths >= ?`;
const NOWHERE = 'SELECT m.id FROM messages m WHERE NOT EXISTS (SELECT 1 FROM inbound i WHERE i.message_id = m.id)';

export async function judge(world: World, expected: Expectation[]): Promise<Verdict> {
  const journal = await world.journal();
  // Of a message that waits for a decision its words are shown to who decides: that is no answer.
  const sent = journal.sent.filter(({ chat }) => !chat.startsWith('dm-'));
  const verdict: Verdict = { lost: [], duplicated: sentAgain(journal), twice: [], laws: [] };
  const db = new DatabaseSync(world.paths.ledger, { readOnly: true });
  for (const { token, kind } of expected) {
    const answers = sent.map((message) =>
      kind === 'send' ? Number(message.text === token) : answersTo(message.text, token),
    );
    const count = answers.reduce((sum, n) => sum + n, 0);
    const told = failedAndTold(db, token, sent);
    if (kind !== 'refused' && count === 0 && !told) verdict.lost.push(token);
    if (count > 1) verdict.duplicated.push(`${token} ×${count}`);
    if (kind === 'refused' && stateOf(db, token) !== 'answered' && !told) verdict.lost.push(token);
  }
  const rows = (sql: string): string[] =>
    db
      .prepare(sql)
      .all()
      .map((row) => String(row['id']));
  verdict.twice.push(...rows(SETTLED_TWICE), ...rows(ENTRY_TWICE), ...rows(SEND_TWICE), ...rows(ASKED_TWICE));
  verdict.laws.push(
    ...rows(UNCERTAIN).map((id) => `o${id} is uncertain`),
    ...rows(UNANSWERED).map((id) => `q${id} has no answer`),
    ...rows(DRAFTS).map((id) => `the draft of t${id} stands`),
    ...rows(UNDECIDED).map((id) => `h${id} waits for nobody`),
    ...rows(NOWHERE).map((id) => `m${id} is in no state`),
  );
  db.close();
  verdict.laws.push(...world.lostWakeUps().map((line) => `a wake-up was lost: ${line}`));
  const broken = await evidence(world);
  if (broken !== null) verdict.laws.push(`evidence: ${broken}`);
  return verdict;
}

/** Whatever was killed: both chains hold, with the heads that each has of the other, and no row lacks its events. */
function evidence(world: World): Promise<string | null> {
  return eventually('the evidence is checked', async () => {
    let broken: string | null | undefined;
    await world.control.stream('events_verify', {}, (row) => {
      if (row['t'] === 'verified') broken = row['broken'] as string | null;
    });
    if (broken === undefined) throw new Error('the gateway is not there');
    return broken;
  });
}

/** Whatever it says, cards and alerts too: under one key one message arrives. */
function sentAgain({ sent }: Journal): string[] {
  const keys = sent.map(({ key }) => key);
  return [...new Set(keys.filter((key, at) => keys.indexOf(key) !== at))].map((key) => `the send ${key}`);
}

/** How often a text answers a token. The list of earlier sends that a later attempt prints is not an answer. */
function answersTo(text: string, token: string): number {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('attempt ') && line !== token)
    .reduce((count, line) => count + line.split(token).length - 1, 0);
}

/** A message that was given up counts as handled only when it was tried as often as is promised, and its chat was told. */
function failedAndTold(db: DatabaseSync, token: string, sent: Journal['sent']): boolean {
  const row = db.prepare(GIVEN_UP).get(token, TURN_DEATHS_MAX);
  const isNotice = (text: string): boolean => text.includes('could not be answered');
  return row !== undefined && sent.some(({ chat, text }) => chat === row['chat'] && isNotice(text));
}

function stateOf(db: DatabaseSync, token: string): string | null {
  const row = db
    .prepare('SELECT i.state FROM messages m JOIN inbound i ON i.message_id = m.id WHERE instr(m.text, ?) > 0')
    .get(token);
  return row === undefined ? null : String(row['state']);
}

export function isClean(verdict: Verdict): boolean {
  return verdict.lost.length + verdict.duplicated.length + verdict.twice.length + verdict.laws.length === 0;
}
