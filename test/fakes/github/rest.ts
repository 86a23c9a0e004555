import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SendFault } from '../../kits/channel_scene.ts';
import { LoopbackServer } from '../loopback_server.ts';
import { AppDoor } from './app_door.ts';
import { pageOf } from './pages.ts';
import { shownComment, shownIssue, shownReview, shownUser } from './payloads.ts';
import { type Comment, REPO, USERS, type User, World } from './world.ts';

/** GitHub's REST API with one repository, on loopback: the real paths, lists, headers and refusals of what a driver calls. */

export class Refused extends Error {
  readonly status: number;
  readonly more: object;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, more: object = {}, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.more = more;
    this.headers = headers;
  }
}

interface Asked {
  query: URLSearchParams;
  body: Record<string, unknown>;
  headers: IncomingMessage['headers'];
  user: User;
  response: ServerResponse;
}

type Handler = (parts: string[], asked: Asked) => { status?: number; data: unknown; headers?: Record<string, string> };

const BODY_CHARS_MAX = 65_536;
const CONTENTS = ['+1', '-1', 'laugh', 'confused', 'heart', 'hooray', 'rocket', 'eyes'];

export class Rest {
  readonly world = new World();
  readonly app = new AppDoor();
  /** `GET /path`, with its status. */
  readonly calls: string[] = [];
  /** Of the next comments that are written, in turn. */
  readonly faults: SendFault[] = [];
  /** Answered instead of what is asked, while it is there. */
  instead: ((method: string, path: string) => Refused | null) | null = null;
  /** Ids of comments that stood in an answer. */
  readonly listed = new Set<number>();
  isRevoked = false;
  readonly #token: string;
  readonly #server = new LoopbackServer((request, response) => this.#answer(request, response));

  constructor(token: string) {
    this.#token = token;
  }

  get url(): string {
    return this.#server.url;
  }

  listen(): Promise<void> {
    return this.#server.listen();
  }

  /** Ends all connections. */
  drop(): void {
    this.#server.drop();
  }

  /** Nothing listens any more, on the same port until `listen`. */
  close(): Promise<void> {
    return this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const { pathname, searchParams } = new URL(request.url ?? '', this.url);
    const method = request.method ?? '';
    try {
      const {
        status = 200,
        data,
        headers = {},
      } = this.#handle(method, pathname, request, response, {
        query: searchParams,
        body: chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as Asked['body']),
      });
      this.#send(request, response, status, data, headers);
      this.calls.push(`${method} ${pathname} ${response.statusCode}`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { status, message, more, headers } = error;
      this.calls.push(`${method} ${pathname} ${status}`);
      const said = { message, documentation_url: 'https://docs.github.com/rest', status: String(status), ...more };
      this.#send(request, response, status, said, headers);
    }
  }

  #send(request: IncomingMessage, response: ServerResponse, status: number, data: unknown, more: object): void {
    if (response.destroyed) return;
    const text = JSON.stringify(data);
    const etag = `W/"${createHash('sha256').update(text).digest('hex')}"`;
    const rate = { 'x-ratelimit-limit': '5000', 'x-ratelimit-remaining': '4900', 'x-ratelimit-reset': '9999999999' };
    const headers = { 'content-type': 'application/json; charset=utf-8', ...rate, ...more };
    if (request.method !== 'GET' || status !== 200) response.writeHead(status, headers).end(text);
    else if (request.headers['if-none-match'] === etag) response.writeHead(304, { ...headers, etag }).end();
    else response.writeHead(200, { ...headers, etag }).end(text);
  }

  #handle(
    method: string,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    given: Pick<Asked, 'query' | 'body'>,
  ): ReturnType<Handler> {
    const { headers } = request;
    const proven = this.app.answer(method, path, headers.authorization ?? '');
    if (proven !== null) return proven;
    const user = this.#userOf(headers.authorization ?? '');
    const instead = this.instead?.(method, path) ?? null;
    if (instead !== null) throw instead;
    if (path === '/user') return { data: user };
    const name = `/repos/${REPO}`;
    if (!path.toLowerCase().startsWith(name)) throw new Refused(404, 'Not Found');
    const route = `${method} ${path.slice(name.length)}`;
    for (const [pattern, handler] of this.#routes) {
      const found = pattern.exec(route);
      if (found !== null) return handler(found.slice(1), { ...given, headers, user, response });
    }
    throw new Refused(404, 'Not Found');
  }

  #userOf(authorization: string): User {
    if (!this.isRevoked && authorization === `Bearer ${this.#token}`) return USERS.self;
    if (!this.isRevoked && this.app.knows(authorization)) return USERS.app;
    throw new Refused(401, 'Bad credentials');
  }

  readonly #routes: [RegExp, Handler][] = [
    [/^GET $/, () => ({ data: { full_name: REPO, private: false }, headers: { date: new Date().toUTCString() } })],
    [/^GET \/collaborators\/([^/]+)\/permission$/, ([login]) => this.#permission(decodeURIComponent(login!))],
    [/^GET \/issues$/, (_, asked) => this.#page(asked, this.world.issues.map(shownIssue))],
    [/^GET \/issues\/(\d+)$/, ([number]) => ({ data: shownIssue(this.#issue(Number(number))) })],
    [/^GET \/issues\/comments$/, (_, asked) => this.#comments(asked, false)],
    [/^GET \/pulls\/comments$/, (_, asked) => this.#comments(asked, true)],
    [/^GET \/issues\/(\d+)\/comments$/, ([number], asked) => this.#comments(asked, false, Number(number))],
    [/^GET \/pulls\/(\d+)\/comments$/, ([number], asked) => this.#comments(asked, true, Number(number))],
    [
      /^GET \/pulls\/(\d+)\/reviews$/,
      ([number], asked) =>
        this.#page(asked, this.world.reviews.filter((each) => each.number === Number(number)).map(shownReview)),
    ],
    [/^POST \/issues\/(\d+)\/comments$/, ([number], asked) => this.#write(asked, Number(number))],
    [
      /^POST \/pulls\/(\d+)\/comments\/(\d+)\/replies$/,
      ([number, root], asked) => this.#write(asked, Number(number), Number(root)),
    ],
    [
      /^PATCH \/(issues|pulls)\/comments\/(\d+)$/,
      ([list, id], asked) => this.#edit(asked, list === 'pulls', Number(id)),
    ],
    [
      /^POST \/issues\/(\d+)\/reactions$/,
      ([number], asked) => this.#react(asked, 'issue', this.#issue(Number(number)).id),
    ],
    [
      /^POST \/(issues|pulls)\/comments\/(\d+)\/reactions$/,
      ([list, id], asked) => {
        const { isReview } = this.#comment(Number(id), list === 'pulls');
        return this.#react(asked, isReview ? 'review_comment' : 'comment', Number(id));
      },
    ],
  ];

  #issue(number: number) {
    const issue = this.world.issue(number);
    if (issue === undefined) throw new Refused(404, 'Not Found');
    return issue;
  }

  #comment(id: number, isReview: boolean): Comment {
    const comment = this.world.comment(id);
    if (comment === undefined || comment.isReview !== isReview) throw new Refused(404, 'Not Found');
    return comment;
  }

  #permission(login: string): ReturnType<Handler> {
    const user = Object.values(USERS).find((each) => each.login === login);
    if (user === undefined) throw new Refused(404, `${login} is not a user`);
    const level = this.world.permissions.get(login) ?? 'none';
    return { data: { permission: level, role_name: level, user: shownUser(user) } };
  }

  #comments(asked: Asked, isReview: boolean, number?: number): ReturnType<Handler> {
    const found = this.world.comments
      .filter((each) => each.isReview === isReview && (number === undefined || each.number === number))
      .map(shownComment);
    const page = this.#page(asked, isReview || number !== undefined ? found : [...found, ...this.world.strange]);
    for (const { id } of page.data as { id: number }[]) this.listed.add(id);
    return page;
  }

  #page({ query }: Asked, items: object[]) {
    return pageOf(items as Parameters<typeof pageOf>[0], query, this.url);
  }

  #write({ body, user, response }: Asked, number: number, root?: number): ReturnType<Handler> {
    const fault = this.faults.shift();
    if (fault !== undefined && fault !== 'cut') throw refusalOf(fault);
    const { locked } = this.#issue(number);
    if (root !== undefined && this.#comment(root, true).in_reply_to_id !== undefined)
      throw new Refused(422, 'Validation Failed', { errors: [{ code: 'invalid', field: 'in_reply_to' }] });
    if (locked) throw new Refused(403, 'Unable to create comment because issue is locked.');
    const comment = this.world.say(user, number, checked(body['body']), root);
    if (fault === 'cut') response.destroy();
    return { status: 201, data: shownComment(comment) };
  }

  #edit({ body, user }: Asked, isReview: boolean, id: number): ReturnType<Handler> {
    const comment = this.#comment(id, isReview);
    if (comment.user?.id !== user.id) throw new Refused(403, 'Must have admin rights to Repository.');
    comment.body = checked(body['body']);
    return { data: shownComment(comment) };
  }

  #react({ body, user }: Asked, on: 'issue' | 'comment' | 'review_comment', id: number): ReturnType<Handler> {
    const content = String(body['content']);
    if (!CONTENTS.includes(content)) throw new Refused(422, 'Validation Failed');
    const isNew = this.world.react({ on, id, user, content });
    return { status: isNew ? 201 : 200, data: { id: 1, user: shownUser(user), content } };
  }
}

function checked(body: unknown): string {
  if (typeof body !== 'string' || body.trim() === '') throw new Refused(422, 'Validation Failed');
  if (body.length > BODY_CHARS_MAX)
    throw new Refused(422, 'Validation Failed', {
      errors: [
        { resource: 'IssueComment', code: 'unprocessable', message: 'body is too long (maximum is 65536 characters)' },
      ],
    });
  return body;
}

const SECONDARY = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';

function refusalOf(fault: Exclude<SendFault, 'cut'>): Refused {
  switch (fault) {
    case 'limited':
      return new Refused(403, SECONDARY, {}, { 'retry-after': '2' });
    case 'limited_untimed':
      return new Refused(403, SECONDARY);
    case 'broken':
      return new Refused(500, 'Server Error');
    case 'gone':
      return new Refused(404, 'Not Found');
    case 'refused':
      return new Refused(422, 'Validation Failed', { errors: [{ resource: 'IssueComment', code: 'custom' }] });
    default:
      return fault satisfies never;
  }
}
