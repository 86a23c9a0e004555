import { guard } from '../authority/guard.ts';
import { reachesOut, type Wish, wishSchema } from '../authority/wish.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { WISH_CARD_CHARS_MAX, WISHES_PENDING_MAX, WISHES_PER_HOUR_MAX } from '../base/limits/talk.ts';
import type { Log } from '../base/log.ts';
import { visible } from '../base/text.ts';
import { chatById } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { insertInbound, insertMessage, messageById, queuedIn } from '../ledger/messages.ts';
import { insertNotice } from '../ledger/outbound.ts';
import { nameOfPerson } from '../ledger/people.ts';
import {
  type Action,
  approvedQuestions,
  askedBefore,
  countOfGroup,
  countQuestions,
  finishQuestion,
  insertQuestion,
  linksOf,
  type Question,
  questionById,
  waitingLike,
} from '../ledger/questions.ts';
import { sessionById } from '../ledger/sessions.ts';
import { isStopped } from '../ledger/stops.ts';
import { countTry, triesOf } from '../ledger/tries.ts';
import type { Asker } from '../sessions/tool_call.ts';

/**
 * What agents ask to be added to their own authority: a question like any other until somebody has decided. Then exactly the
 * authority whose hash was shown is put in force, and the agent hears of it in a message, in a sandbox that has it.
 */
/** What an authority would come to: its hash, that of what it was foreseen from, and what changes in words. */
export interface Foreseen {
  hash: string;
  base: string;
  changes: string[];
}

export interface WishesInput {
  ledger: Ledger;
  clock: Clock;
  log: Log;
  /** What a group's authority would come to, and in words what that changes. Throws `OperatingError`. */
  foresee(group: string, wish: Wish): Foreseen;
  /** Puts that in force, for whom. Rejects with `OperatingError`; once it is in force it does nothing. */
  grant(group: string, wish: Wish, granted: { hash: string; base: string; by: string }): Promise<void>;
  /** Shows a question to who may decide. */
  asked(question: number): void;
  wake(session: number): void;
  deliver(chat: number): void;
}

type AuthorityAction = Extract<Action, { kind: 'authority' }>;

export class Wishes {
  readonly #input: WishesInput;
  /** One after the other: each looks at what the one before it has left. */
  #done: Promise<void> = Promise.resolve();

  constructor(input: WishesInput) {
    this.#input = input;
  }

  /** Goes on with what an earlier host had begun to put in force, or what had to wait. */
  start(): void {
    for (const { id } of approvedQuestions(this.#input.ledger.db)) this.approved(id);
  }

  /** Resolves when somebody can be asked. Rejects with `OperatingError`, in words for the agent. */
  async ask(asker: Asker, input: unknown): Promise<{ id: string; told: string }> {
    const { ledger, clock } = this.#input;
    const group = asker.session.group_name;
    const judged = await ledger.write('wish', (db) => {
      if (triesOf(db, clock.now(), 'wish', '', group) >= WISHES_PER_HOUR_MAX)
        return 'too many requests; ask again later';
      countTry(db, clock.now(), 'wish', '', group, WISHES_PER_HOUR_MAX);
      const outcome = this.#judge(db, asker, input);
      if (typeof outcome === 'string')
        recordEvent(
          db,
          clock,
          'authority.refused',
          { session: asker.session.id, turn: asker.turn },
          { group, reason: outcome },
        );
      return outcome;
    });
    if (typeof judged === 'string') throw new OperatingError('refused', judged);
    this.#input.asked(judged.id);
    const told = 'A person is asked. Go on without it; you will get a message when it is decided.';
    return { id: showId('h', judged.id), told };
  }

  /** Somebody has said yes, and that is on disk. Returns at once. */
  approved(id: number): void {
    const { log } = this.#input;
    const failed = (error: unknown): void =>
      log.error('wish.unfinished', { approval: showId('h', id), reason: messageOf(error) });
    this.#done = this.#done.then(() => this.#carryOut(id)).catch(failed);
  }

  /** The question that now waits, or why there is none. */
  #judge(db: Db, asker: Asker, input: unknown): Question | string {
    const { clock } = this.#input;
    const group = asker.session.group_name;
    const parsed = wishSchema.safeParse(input);
    if (!parsed.success) return issueOf(parsed.error.issues[0]!);
    const foreseen = this.#foresee(group, parsed.data);
    if (typeof foreseen === 'string') return foreseen;
    const action = actionOf(db, asker, parsed.data, foreseen);
    const size = [...action.changes, action.reason].reduce((sum, text) => sum + visible(text).length, 0);
    if (size > WISH_CARD_CHARS_MAX) return 'that is more than a person reads at once: ask for less';
    const waiting = waitingLike(db, action);
    if (waiting !== undefined) return waiting; // an earlier attempt at this turn has asked
    const full = countOfGroup(db, 'authority', group) >= WISHES_PENDING_MAX;
    const facts = { ...askedBefore(db, action), pending: countQuestions(db), now: clock.now() };
    const refusal = `${WISHES_PENDING_MAX} requests wait already`;
    const verdict = guard('authority', { ...facts, standing: full ? 'deny' : 'ask', refusal });
    if (verdict.verdict !== 'hold') return verdict.verdict === 'deny' ? verdict.rule : 'it needs no approval';
    const by = { session: asker.session.id, turn: asker.turn };
    const question = insertQuestion(db, clock.now(), action, asker.message, verdict.expires_ms, by);
    const data = { approval: showId('h', question.id), group, changes: action.changes };
    recordEvent(db, clock, 'authority.asked', linksOf(question), data);
    return question;
  }

  #foresee(group: string, wish: Wish): Foreseen | string {
    try {
      const foreseen = this.#input.foresee(group, wish);
      return foreseen.changes.length === 0 ? 'you have all of that already' : foreseen;
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      return forAgent(wish, error) ?? 'that cannot be asked for';
    }
  }

  async #carryOut(id: number): Promise<void> {
    const { ledger, wake, deliver } = this.#input;
    const question = questionById(ledger.db, id);
    if (question?.state !== 'approved') return;
    const action = JSON.parse(question.object) as AuthorityAction;
    // Put in force when its group goes on.
    if (isStopped(ledger.db, action.group)) return;
    const failure = await this.#grant(question, action);
    const session = await ledger.insist('granted', (db) => this.#finish(db, question, failure));
    if (session !== null) wake(session);
    if (question.card_chat !== null) deliver(question.card_chat);
  }

  /** Null: it is in force. */
  async #grant(question: Question, action: AuthorityAction): Promise<Failure | null> {
    const by = nameOfPerson(this.#input.ledger.db, question.decided_by!);
    const wish = JSON.parse(action.wish) as Wish;
    const { hash, base } = action;
    try {
      await this.#input.grant(action.group, wish, { hash, base, by });
      return null;
    } catch (error) {
      this.#input.log.warn('wish.failed', { approval: showId('h', question.id), reason: messageOf(error) });
      return { reason: messageOf(error), told: forAgent(wish, error) ?? 'the operator knows why' };
    }
  }

  /** Returns the session that has a message now. */
  #finish(db: Db, question: Question, failure: Failure | null): number | null {
    const { clock } = this.#input;
    if (!finishQuestion(db, clock, question, failure?.reason ?? null)) return null;
    const shown = showId('h', question.id);
    const { changes } = JSON.parse(question.object) as AuthorityAction;
    const what = failure === null ? 'is in force' : `was approved, and could not be done: ${visible(failure.reason)}`;
    if (question.card_chat !== null) insertNotice(db, clock.now(), question.card_chat, '', null, `${shown} ${what}.`);
    const text =
      failure === null
        ? `[Your request ${shown} was approved and is in force: ${changes.join('; ')}. You are in a new sandbox, which has it. Go on.]`
        : `[Your request ${shown} was approved, and could not be done: ${failure.told}.]`;
    return tellAgent(db, clock, question, text);
  }
}

interface Failure {
  reason: string;
  /** As much of it as an agent may hear. */
  told: string;
}

/** Which folders the host has is not for an agent to find out, nor what went wrong inside it. Null: it hears no reason. */
function forAgent(wish: Wish, error: unknown): string | null {
  return error instanceof OperatingError && wish.mounts.length === 0 ? error.message : null;
}

/** What is done when somebody says yes. */
function actionOf(db: Db, { session, message }: Asker, wish: Wish, { hash, base, changes }: Foreseen): AuthorityAction {
  const chat = chatById(db, messageById(db, message)!.chat_id)!;
  const { reason } = wish;
  const place = { chat: chat.id, channel: chat.channel, group: session.group_name };
  return {
    kind: 'authority',
    ...place,
    wish: JSON.stringify(wish),
    hash,
    base,
    changes,
    reason,
    outward: reachesOut(wish),
  };
}

/** A message of the host's own to the agent that asked, which begins a turn of its own. Null: its session is over. */
function tellAgent(db: Db, clock: Clock, question: Question, text: string): number | null {
  const shown = showId('h', question.id);
  const session = sessionById(db, question.session_id!)!;
  if (session.closed_ms !== null) return null;
  const asked = messageById(db, question.message_id)!;
  const message = insertMessage(db, {
    ...{
      dedupe_key: `approval:${question.id}`,
      chat_id: asked.chat_id,
      thread: asked.thread,
      person_id: asked.person_id,
    },
    ...{ sender: `approval ${shown}`, handle: '', addressed: 1, platform_id: shown, text, origin: 'approval' },
    ...{ sent_ms: clock.now(), received_ms: clock.now() },
  })!;
  recordEvent(db, clock, 'message.queued', { message, session: session.id }, { ahead: queuedIn(db, session.id) });
  insertInbound(db, clock.now(), message, session.id, 'queued', '', true);
  return session.id;
}

function issueOf({ path, message }: { path: PropertyKey[]; message: string }): string {
  return `${path.join('.') || 'input'}: ${message}`;
}
