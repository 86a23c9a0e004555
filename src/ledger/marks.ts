import type { Authority } from '../authority/authority.ts';
import { completes, standingMarks, TWO_DEFAULT, type TwoPolicy, union } from '../authority/rule_of_two.ts';
import type { Clock } from '../base/clock.ts';
import { showId } from '../base/ids.ts';
import type { Mark } from '../protocol/gateway.ts';
import { authorityInForce } from './authorities.ts';
import { chatByPlatformId } from './chats.ts';
import type { Db } from './db.ts';
import { type EventLinks, recordEvent } from './events.ts';
import { insertNotice } from './outbound.ts';
import type { SessionRow } from './sessions.ts';

/** What each conversation has seen and done. A mark is written in the transaction of what causes it, and never taken away. */
export interface MarkRow {
  mark: Mark;
  cause: string;
}

type Marked = Pick<SessionRow, 'id' | 'group_name'>;

export function marksOf(db: Db, session: number): MarkRow[] {
  return db.all<MarkRow>('SELECT mark, cause FROM marks WHERE session_id = ? ORDER BY mark', session);
}

export function hasMarks(db: Db, session: number): Mark[] {
  return marksOf(db, session).map(({ mark }) => mark);
}

/** `A (m12), B (GET api.example.com/items)`: for people. */
export function marksText(db: Db, session: number): string {
  return marksOf(db, session)
    .map(({ mark, cause }) => `${mark} (${cause})`)
    .join(', ');
}

/** By what is in force now. */
export function termsOf(
  db: Db,
  group: string,
): { policy: TwoPolicy; members: 'trusted' | 'untrusted'; standing: Mark[] } {
  const row = authorityInForce(db, group);
  if (row === undefined) return { policy: TWO_DEFAULT, members: 'trusted', standing: [] };
  const authority = JSON.parse(row.object) as Authority;
  const { rule_of_two: policy = TWO_DEFAULT, members = 'trusted' } = authority;
  return { policy, members, standing: union(...standingMarks(authority).map(([, marks]) => marks)) };
}

/** Whether these must wait for a person. What its sandbox will have counts before the first one starts. */
export function mustHold(db: Db, { id, group_name }: Marked, adds: readonly Mark[]): boolean {
  if (adds.length === 0) return false;
  const { policy, standing } = termsOf(db, group_name);
  return policy === 'enforce' && completes(union(hasMarks(db, id), standing), adds);
}

/** Those that it has not yet. With the third one the operator is warned, if that is what the group wants: once, as no mark comes twice. */
export function addMarks(
  db: Db,
  clock: Clock,
  { id, group_name }: Marked,
  marks: readonly Mark[],
  cause: string,
  links: EventLinks = {},
): void {
  const before = hasMarks(db, id);
  const fresh = marks.filter((mark) => !before.includes(mark));
  for (const mark of fresh) {
    db.run('INSERT INTO marks (session_id, mark, cause, at_ms) VALUES (?, ?, ?, ?)', id, mark, cause, clock.now());
    recordEvent(db, clock, 'session.marked', { ...links, session: id }, { mark, cause });
  }
  if (fresh.length === 0 || !completes(before, fresh)) return;
  const { policy } = termsOf(db, group_name);
  if (policy === 'off') return;
  const causes = marksText(db, id);
  recordEvent(db, clock, 'session.rule_of_two', { ...links, session: id }, { policy, marks: causes });
  const operator = policy === 'warn' ? chatByPlatformId(db, 'local', 'main') : undefined;
  if (operator === undefined) return;
  const text = `⚠ ${showId('s', id)} of ${group_name} has seen what anybody may have written, read what is private and acted outside: ${causes}. rule_of_two: enforce in its group.yaml asks a person before the third.`;
  insertNotice(db, clock.now(), operator.id, '', null, text);
}
