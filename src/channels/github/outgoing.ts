import type { EditOperation, ReactOperation, Reconciled, SendOperation, SendResult } from '../channel.ts';
import { read } from './auth.ts';
import type { Client } from './client.ts';
import { isBroken, isRefused, type Refusal, refusalOf } from './errors.ts';
import { OPERATION_MS } from './limits.ts';
import { marked } from './mark.ts';
import { written } from './payloads.ts';
import { type Chat, readChat, readMessage, showMessage } from './places.ts';
import { contentOf, putReaction, reactionRoute } from './reactions.ts';
import { findSent } from './reconcile.ts';

/** What we say, as calls. Each that writes is made once; what became of it is a value. */
export class Outgoing {
  readonly #client: Client;
  readonly #repos: readonly string[];

  constructor(client: Client, repos: readonly string[]) {
    this.#client = client;
    this.#repos = repos;
  }

  async send(operation: SendOperation): Promise<SendResult> {
    const chat = readChat(operation.chat, this.#repos);
    if (chat === null) return NOT_OURS;
    if (operation.file !== null) return NO_FILES;
    const signal = AbortSignal.timeout(OPERATION_MS);
    try {
      return { ok: true, receipt: await this.#write(chat, operation, signal) };
    } catch (error) {
      return isBroken(error) ? this.#looked(chat, operation, error, signal) : refusalOf(error);
    }
  }

  async edit({ chat: shown, message, body, key }: EditOperation): Promise<SendResult> {
    const chat = readChat(shown, this.#repos);
    const place = readMessage(message);
    if (chat === null || place === null) return NOT_OURS;
    if (place.kind !== 'comment' && place.kind !== 'review_comment') return NO_SUCH;
    const list = place.kind === 'comment' ? 'issues' : 'pulls';
    const { owner, repo } = chat;
    try {
      const route = `PATCH /repos/{owner}/{repo}/${list}/comments/{comment_id}`;
      await this.#client.call(route, { owner, repo, comment_id: place.id, body: marked(body, key) });
    } catch (error) {
      return refusalOf(error);
    }
    return { ok: true, receipt: message };
  }

  async react({ chat: shown, message, emoji }: ReactOperation): Promise<SendResult> {
    const chat = readChat(shown, this.#repos);
    const place = readMessage(message);
    if (chat === null || place === null) return NOT_OURS;
    const content = contentOf(emoji);
    const route = reactionRoute(place.kind);
    if (content === null) return no('unsupported', `GitHub has no ${emoji}: it has 👍 👎 😄 🎉 😕 ❤️ 🚀 👀`);
    if (route === null) return no('unsupported', 'a review on GitHub cannot have reactions');
    try {
      await putReaction(this.#client, route, chat, { id: place.id, content });
    } catch (error) {
      return refusalOf(error);
    }
    return { ok: true, receipt: message };
  }

  async reconcile(operation: SendOperation): Promise<Reconciled> {
    const chat = readChat(operation.chat, this.#repos);
    if (chat === null) return { found: 'unknown' };
    try {
      return await findSent(this.#client, chat, operation, AbortSignal.timeout(OPERATION_MS));
    } catch (error) {
      if (!isRefused(error)) throw error;
      return { found: 'unknown' };
    }
  }

  /** Its receipt. */
  async #write(chat: Chat, { thread, body, key }: SendOperation, signal: AbortSignal): Promise<string> {
    const { owner, repo, number } = chat;
    const given = { owner, repo, body: marked(body, key) };
    const [kind, answer] =
      thread === ''
        ? ([
            'comment',
            await this.#client.call(
              'POST /repos/{owner}/{repo}/issues/{issue_number}/comments',
              { ...given, issue_number: number },
              { signal },
            ),
          ] as const)
        : ([
            'review_comment',
            await this.#client.call(
              'POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies',
              { ...given, pull_number: number, comment_id: Number(thread) },
              { signal },
            ),
          ] as const);
    return showMessage(kind, read(written, answer.data).id);
  }

  /** A server that broke may have written it before: only what is not there may be sent again. */
  async #looked(chat: Chat, operation: SendOperation, error: unknown, signal: AbortSignal): Promise<SendResult> {
    const refusal = refusalOf(error);
    try {
      const known = await findSent(this.#client, chat, operation, signal);
      if (known.found === true) return { ok: true, receipt: known.receipt };
      return known.found === false ? refusal : { ...refusal, class: 'ambiguous' };
    } catch (second) {
      if (!isRefused(second)) throw second;
      return { ...refusal, class: 'ambiguous' };
    }
  }
}

const NOT_OURS = no('gone', 'this is in none of the repositories of this channel');
const NO_SUCH = no('gone', 'there is no such comment of ours on GitHub');
const NO_FILES = no('unsupported', 'GitHub takes no files from programs');

function no(as: Refusal['class'], reason: string): Refusal {
  return { ok: false, class: as, reason };
}
