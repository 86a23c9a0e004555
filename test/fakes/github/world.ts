/** What there is on a fake GitHub: one repository, the people in it, and what they wrote. */

export interface User {
  id: number;
  login: string;
  type: 'User' | 'Bot';
}

export const USERS = {
  person: { id: 501, login: 'first', type: 'User' },
  other: { id: 502, login: 'second', type: 'User' },
  bot: { id: 503, login: 'beeper[bot]', type: 'Bot' },
  self: { id: 500, login: 'glass-agent', type: 'User' },
  stranger: { id: 504, login: 'stranger', type: 'User' },
  reader: { id: 505, login: 'reader', type: 'User' },
  app: { id: 506, login: 'glass-app[bot]', type: 'Bot' },
} as const satisfies Record<string, User>;

export type Who = keyof typeof USERS;

export const REPO = 'garden/roses';
export const ISSUE = 1;
export const PULL = 2;
/** The comment that began a thread in the pull request. */
export const ROOT = 9000;

export interface Comment {
  id: number;
  number: number;
  user: User | null;
  body: string;
  created_at: string;
  updated_at: string;
  /** In a thread of a review. */
  in_reply_to_id?: number;
  isReview: boolean;
}

export interface Issue {
  id: number;
  number: number;
  title: string;
  user: User;
  body: string | null;
  created_at: string;
  updated_at: string;
  isPull: boolean;
  locked: boolean;
}

export interface Review {
  id: number;
  number: number;
  user: User;
  body: string;
  submitted_at?: string;
}

export interface Reaction {
  on: 'issue' | 'comment' | 'review_comment';
  id: number;
  user: User;
  content: string;
}

const OLD = '2024-01-01T00:00:00Z';

export class World {
  readonly issues: Issue[] = [];
  readonly comments: Comment[] = [];
  readonly reviews: Review[] = [];
  readonly reactions: Reaction[] = [];
  /** What people have of the repository; whoever is not named is nobody there. */
  readonly permissions = new Map<string, string>([
    ['first', 'write'],
    ['second', 'admin'],
    ['reader', 'read'],
    ['glass-agent', 'write'],
  ]);
  /** Listed among the comments as they are. */
  readonly strange: object[] = [];
  #ids = 10_000;

  constructor() {
    const common = { user: USERS.other, created_at: OLD, updated_at: OLD, locked: false };
    this.issues.push(
      { id: 8001, number: ISSUE, title: 'The roses', body: 'They wilt.', isPull: false, ...common },
      { id: 8002, number: PULL, title: 'Water them', body: null, isPull: true, ...common },
    );
    this.comments.push({
      ...{ id: ROOT, number: PULL, user: USERS.other, body: 'Why here?', isReview: true },
      ...{ created_at: OLD, updated_at: OLD },
    });
  }

  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  issue(number: number): Issue | undefined {
    return this.issues.find((each) => each.number === number);
  }

  comment(id: number): Comment | undefined {
    return this.comments.find((each) => each.id === id);
  }

  open(user: User, title: string, body: string | null, isPull = false): Issue {
    const [id, at] = [this.nextId(), now()];
    const number = this.issues.length + 1;
    const issue = { id, number, title, user, body, isPull, locked: false, created_at: at, updated_at: at };
    this.issues.push(issue);
    return issue;
  }

  /** `thread`: 0 begins one; undefined: beside the code. */
  say(user: User | null, number: number, body: string, thread?: number): Comment {
    const [id, at] = [this.nextId(), now()];
    const inThread = thread === undefined || thread === 0 ? {} : { in_reply_to_id: thread };
    const comment = { id, number, user, body, created_at: at, updated_at: at, isReview: thread !== undefined };
    this.comments.push({ ...comment, ...inThread });
    this.touch(number);
    return this.comments.at(-1)!;
  }

  review(user: User, number: number, body: string): Review {
    const review = { id: this.nextId(), number, user, body, submitted_at: now() };
    this.reviews.push(review);
    this.touch(number);
    return review;
  }

  touch(number: number): void {
    const issue = this.issue(number);
    if (issue !== undefined) issue.updated_at = now();
  }

  /** The same one again changes nothing. */
  react(reaction: Reaction): boolean {
    const same = ({ on, id, user, content }: Reaction): boolean =>
      on === reaction.on && id === reaction.id && user.id === reaction.user.id && content === reaction.content;
    if (this.reactions.some(same)) return false;
    this.reactions.push(reaction);
    return true;
  }
}

/** GitHub's times are whole seconds. */
export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}
