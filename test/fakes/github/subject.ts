import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, WebhookRequest } from '../../../src/channels/channel.ts';
import { open } from '../../../src/channels/github/driver.ts';
import { github } from '../../../src/channels/github/kind.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import type {
  Account,
  ChannelUnderTest,
  Faults,
  Hook,
  People,
  Place,
  PlaceName,
  Saying,
  Sent,
  Speaker,
} from '../../kits/channel_scene.ts';
import { shownOf } from './markdown.ts';
import { shownComment, shownIssue, shownUser } from './payloads.ts';
import { Rest } from './rest.ts';
import { type Comment, ISSUE, now, PULL, REPO, ROOT, USERS } from './world.ts';

/** GitHub, as the kit of channels drives it. An issue stands for the direct chat, which GitHub has not. */

/** Look like secrets, and are none. */
export const TOKEN = 'github_pat_FAKEfakeFAKEfakeFAKEfake01';
export const HOOK_SECRET = 'fake-secret-of-a-webhook';

const LACKS = {
  'who is addressed is told by a mention and by a reply to us': 'a comment on GitHub answers no other one',
  'a reaction comes in, and that it was taken back': 'GitHub tells nobody of reactions',
  'the menu shows our commands': 'GitHub has no menu of commands',
  'a second program on our token is said to be so; once it has ended, messages come in again':
    'any number of programs may read with a token, and none of them takes anything away',
};

export const polled: ChannelUnderTest = {
  title: 'GitHub',
  kind: github,
  lacks: {
    ...LACKS,
    'a deletion comes in': 'a list does not say what is no more in it',
    'a message is acknowledged after its commit': 'GitHub is not told what was read; the cursor is a test of its own',
  },
  start: () => GitHubAccount.start(false),
};

export const hooked: ChannelUnderTest = {
  title: 'GitHub with a webhook',
  kind: github,
  lacks: LACKS,
  start: () => GitHubAccount.start(true),
};

/** Without a webhook the next round comes at once; with one it does not come while a test lasts. */
const POLL_S = { polled: 0.05, hooked: 3000 };

export class GitHubAccount implements Account {
  readonly rest = new Rest(TOKEN);
  readonly hook?: Hook;
  readonly #isHooked: boolean;
  /** Ids of what a call told that was answered 200. */
  readonly #acked = new Set<number>();
  #channel: Channel | null = null;
  #isOffline = false;

  static async start(isHooked: boolean): Promise<GitHubAccount> {
    const account = new GitHubAccount(isHooked);
    await account.rest.listen();
    return account;
  }

  private constructor(isHooked: boolean) {
    this.#isHooked = isHooked;
    if (!isHooked) return;
    this.hook = {
      request: (saying) => signed('issue_comment', this.#told('created', this.#add(saying))),
      forged: (saying) => this.#forged(saying),
    };
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    const [webhook, poll_s] = [this.#isHooked, this.#isHooked ? POLL_S.hooked : POLL_S.polled];
    const settings = { repos: [REPO], api: this.rest.url, poll_s, webhook, public: false };
    const secrets: Record<string, string> = this.#isHooked ? { token: TOKEN, webhook: HOOK_SECRET } : { token: TOKEN };
    return { name: 'code', settings, secrets };
  }

  open(parts: DriverParts): Channel {
    const channel = open(parts);
    if (!this.#isHooked) return channel;
    const { start, stop } = channel;
    return Object.assign(channel, {
      start: async (...given: Parameters<Channel['start']>) => {
        await start.apply(channel, given);
        this.#channel = channel;
      },
      stop: async () => {
        this.#channel = null;
        await stop.apply(channel);
      },
    });
  }

  place(name: PlaceName): Place {
    const number = name === 'direct' ? ISSUE : PULL;
    return { chat: `${REPO}#${number}`, thread: name === 'thread' ? String(ROOT) : '' };
  }

  handle(speaker: Speaker): string {
    return String(USERS[speaker].id);
  }

  /** What bears a mark: what our account said from elsewhere has none. */
  sent(): Sent[] {
    const ours = [USERS.self.id, USERS.app.id] as number[];
    return this.rest.world.comments
      .filter(({ id, user }) => ours.includes(user?.id ?? 0) && !this.#echoes.has(id))
      .map(({ id, number, isReview, in_reply_to_id = '', body }) => ({
        ...{ chat: `${REPO}#${number}`, thread: String(in_reply_to_id), quotes: null, buttons: [], file: null },
        receipt: `${isReview ? 'review_comment' : 'comment'}:${id}`,
        ...shownOf(body),
      }));
  }

  readonly #echoes = new Set<number>();

  /** Without the eyes that say "seen". */
  reactions(): { message: string; emoji: string }[] {
    return this.rest.world.reactions
      .filter(({ content }) => content !== 'eyes')
      .map(({ on, id, content }) => ({ message: `${on}:${id}`, emoji: content === '+1' ? '👍' : content }));
  }

  typing(): never[] {
    return [];
  }

  menu(): never[] {
    return [];
  }

  acknowledged(message: string): boolean {
    return this.#acked.has(numberOf(message));
  }

  pressesAnswered(): number {
    return 0;
  }

  async stop(): Promise<void> {
    await this.rest.close();
  }

  readonly people: People = {
    say: async (saying) => {
      const comment = this.#add(saying);
      this.#ring('created', comment);
      return shownId(comment);
    },
    // Nobody who only looks now and then sees what was edited before.
    edit: async (_place, _from, message, text) => {
      const comment = this.rest.world.comment(numberOf(message))!;
      while (!this.rest.listed.has(comment.id)) await sleep(5);
      comment.body = text;
      comment.updated_at = now();
      this.rest.world.touch(comment.number);
      this.#ring('edited', comment);
    },
    remove: async (_place, _from, message) => {
      const { comments } = this.rest.world;
      const comment = this.rest.world.comment(numberOf(message))!;
      comments.splice(comments.indexOf(comment), 1);
      this.#ring('deleted', comment);
    },
    react: async () => {},
    press: async () => {},
    strange: async (event) => {
      const repository = { full_name: REPO };
      if (event === 'broken') this.rest.world.strange.push({ id: 1, body: 'without a time' });
      this.#call(event === 'broken' ? 'issue_comment' : 'galaxy', { action: 'created', repository }, 0);
      if (event === 'unknown') this.rest.world.strange.push({ ...shownComment(this.#quiet()), newly_made: {} });
    },
  };

  readonly faults: Faults = {
    next: (fault) => void this.rest.faults.push(fault),
    revoke: () => {
      this.rest.isRevoked = true;
    },
    secondPoller: async () => {},
    drop: async () => this.rest.drop(),
    offline: async () => {
      this.#isOffline = true;
      await this.rest.close();
    },
    online: async () => {
      await this.rest.listen();
      this.#isOffline = false;
    },
  };

  #quiet(): Comment {
    const at = now();
    const times = { created_at: at, updated_at: at };
    return { id: 2, number: ISSUE, user: USERS.person, body: '', isReview: false, ...times };
  }

  #add({ place, from, text, mention }: Saying): Comment {
    const { thread } = this.place(place);
    const said = mention === true ? `@${USERS.self.login} ${text}` : text;
    const number = place === 'direct' ? ISSUE : PULL;
    const comment = this.rest.world.say(USERS[from], number, said, thread === '' ? undefined : Number(thread));
    if (from === 'self') this.#echoes.add(comment.id);
    return comment;
  }

  #ring(action: string, comment: Comment): void {
    const event = comment.isReview ? 'pull_request_review_comment' : 'issue_comment';
    this.#call(event, this.#told(action, comment), comment.id);
  }

  /** GitHub calls once: what is not answered well is lost. */
  #call(event: string, payload: object, id: number): void {
    if (this.#channel === null || this.#isOffline) return;
    const answer = this.#channel.webhook!(signed(event, payload));
    const acked = ({ status }: { status: number }) => (status === 200 ? void this.#acked.add(id) : undefined);
    answer.then(acked, () => {});
  }

  #told(action: string, comment: Comment): object {
    const issue = shownIssue(this.rest.world.issue(comment.number)!);
    const repository = { id: 9, full_name: REPO, private: false };
    const place = comment.isReview ? { pull_request: issue } : { issue };
    return { action, ...place, comment: shownComment(comment), repository, sender: shownUser(comment.user) };
  }

  /** Nothing of it is on the platform. */
  #forged(saying: Saying): WebhookRequest[] {
    const at = now();
    const said = { id: 31, number: ISSUE, user: USERS.person, body: saying.text, isReview: false };
    const payload = this.#told('deleted', { ...said, created_at: at, updated_at: at });
    const right = signed('issue_comment', payload);
    const { 'x-hub-signature-256': signature = '', ...unsigned } = right.headers;
    const named = (value: string): WebhookRequest => ({
      ...right,
      headers: { ...unsigned, 'x-hub-signature-256': value },
    });
    return [
      { ...right, headers: unsigned },
      named(''),
      named(signature.slice(0, -1)),
      named(`${signature}0`),
      named(signature.replace('sha256=', 'sha1=')),
      signed('issue_comment', payload, 'another-secret-of-a-webhook'),
      { ...right, body: Buffer.from(right.body.toString().replace('hello', 'hullo')) },
    ];
  }
}

export function signed(event: string, payload: object, secret = HOOK_SECRET): WebhookRequest {
  const body = Buffer.from(JSON.stringify(payload));
  const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
  const headers = { 'content-type': 'application/json', 'x-github-event': event, 'x-hub-signature-256': signature };
  return { method: 'POST', path: '', query: '', headers: { ...headers, 'x-github-delivery': 'fake' }, body };
}

function shownId({ id, isReview }: Comment): string {
  return `${isReview ? 'review_comment' : 'comment'}:${id}`;
}

function numberOf(message: string): number {
  return Number(message.split(':')[1]);
}
