import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { github } from '../../src/channels/github/kind.ts';
import { isMarked, marked, markOf } from '../../src/channels/github/mark.ts';
import { mentions, withoutMention } from '../../src/channels/github/mentions.ts';
import * as payloads from '../../src/channels/github/payloads.ts';
import { readChat, readMessage } from '../../src/channels/github/places.ts';
import {
  type Entry,
  editOf,
  inOrder,
  messageOf,
  ofComment,
  ofIssue,
  ofReview,
  ofReviewComment,
  speakerOf,
} from '../../src/channels/github/reading.ts';

/** Payloads as GitHub documents them, and what the host is told of them. */

const TOLD = { repo: 'octocat/Hello-World', title: 'Found a bug', me: { login: 'monalisa', name: 'monalisa' } };

function fixture(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../fixtures/github/${name}.json`, import.meta.url), 'utf8'));
}

const comment = (name: string): Entry => ofComment(payloads.comment.parse(fixture(name)));
const reviewComment = (name: string): Entry => ofReviewComment(payloads.reviewComment.parse(fixture(name)));
const issue = (name: string): Entry => ofIssue(payloads.issue.parse(fixture(name)));

test('a comment is a message of its issue', () => {
  assert.deepEqual(messageOf(comment('issue_comment'), TOLD), {
    dedupe_key: 'gh:octocat/hello-world:comment:1',
    chat: { platform_id: 'octocat/Hello-World#1347', title: 'Found a bug' },
    thread: '',
    sender: { handle: '1', name: 'octocat' },
    addressed: false,
    platform_id: 'comment:1',
    text: 'Me too',
    files: [],
    sent_ms: Date.parse('2011-04-14T16:00:49Z'),
  });
});

test('programs, and accounts that are gone, are no persons', () => {
  assert.equal(messageOf(comment('issue_comment_bot'), TOLD).sender.kind, 'bot');
  assert.equal(messageOf(comment('issue_comment_ghost'), TOLD).sender.kind, 'bot');
  assert.equal(speakerOf(comment('issue_comment'), { login: 'OctoCat', name: 'x' }), 'self');
  assert.equal(payloads.comment.safeParse(fixture('issue_comment_broken')).success, false);
});

test('a thread of a review has the name of the comment that began it', () => {
  const reply = messageOf(reviewComment('review_comment'), TOLD);
  assert.deepEqual([reply.chat.platform_id, reply.thread], ['octocat/Hello-World#1', '8']);
  const root = messageOf(reviewComment('review_comment_root'), TOLD);
  assert.deepEqual([root.thread, root.addressed, root.text], ['8', true, '`why`?']);
});

test('an issue and a pull request begin with their titles', () => {
  const bug = messageOf(issue('issue'), TOLD);
  assert.deepEqual([bug.text, bug.addressed], ["Found a bug\n\nI'm having a problem with this, @Monalisa.", true]);
  assert.equal(issue('pull_request').text, 'Amazing new feature');
  assert.notEqual(payloads.issue.parse(fixture('pull_request')).pull_request, undefined);
  assert.equal(payloads.issue.parse(fixture('issue')).pull_request, undefined);
});

test('a review counts once it is submitted', () => {
  const review = ofReview(payloads.review.parse(fixture('review')), 12);
  assert.equal(messageOf(review!, TOLD).platform_id, 'review:80');
  assert.equal(ofReview(payloads.review.parse(fixture('review_pending')), 12), null);
});

test('an edit has a key of its own for each time', () => {
  const edit = editOf(comment('issue_comment_bot'), TOLD);
  assert.equal(edit.dedupe_key, `gh:octocat/hello-world:comment:2:${Date.parse('2011-04-15T16:00:49Z')}`);
  assert.equal(edit.sent_ms, Date.parse('2011-04-15T16:00:49Z'));
});

test('the other answers are read as documented', () => {
  assert.deepEqual(payloads.permission.parse(fixture('permission')), { permission: 'admin', user: { id: 1 } });
  assert.equal(payloads.appToken.parse(fixture('app_token')).expires_at, Date.parse('2016-07-11T22:14:10Z'));
  const { action, comment: gone, repository } = payloads.call.parse(fixture('call_deleted'));
  assert.deepEqual([action, gone?.id, repository?.full_name], ['deleted', 99262140, 'octocat/Hello-World']);
});

test('what was written first is told first, and an issue before what is said in it in the same second', () => {
  const made = (kind: Entry['kind'], id: number, created_ms: number, updated_ms = created_ms): Entry => {
    return { kind, id, number: 1, thread: '', user: null, text: '', created_ms, updated_ms };
  };
  const given = [
    made('comment', 4, 30),
    made('comment', 3, 20),
    made('issue', 9, 20, 40), // labelled since
    made('comment', 1, 5, 35), // old, and edited now
  ];
  const order = inOrder(given, 10).map(({ kind, id }) => `${kind}:${id}`);
  assert.deepEqual(order, ['issue:9', 'comment:3', 'comment:4', 'comment:1']);
});

const MENTIONED: [text: string, is: boolean][] = [
  ['@glass please', true],
  ['please, @Glass.', true],
  ['(@glass)', true],
  ['@glass[bot] please', true],
  ['> @glass said', true],
  ['a\n\n```\ncode\n```\n@glass', true],
  ['`a` @glass `b`', true],
  ['a `` lone tick ` @glass', true],
  ['<!-- hidden --> @glass', true],
  ['use `<!--` here, @glass', true],
  ['`@glass`', false],
  ['``a ` @glass``', false],
  ['```\n@glass\n```', false],
  ['~~~\n```\n@glass\n~~~', false],
  ['```\n@glass', false],
  ['code:\n\n    @glass', false],
  ['<!-- @glass -->', false],
  ['<!-- @glass', false],
  ['@glass-two', false],
  ['@glassy', false],
  ['@glass/team', false],
  ['me@glass', false],
  ['@other/@glass', false],
  ['glass', false],
];

test('a mention is one outside of code and of what is hidden', () => {
  for (const [text, is] of MENTIONED) assert.equal(mentions(text, 'glass'), is, text);
  const long = '`'.repeat(30_000) + ' <!--'.repeat(30_000);
  assert.equal(mentions(`${long} @glass`, 'glass'), false);
});

test('a mention at the beginning is no word', () => {
  assert.equal(withoutMention('@Glass, /stop', 'glass'), '/stop');
  assert.equal(withoutMention('@glass[bot] pair 1', 'glass'), 'pair 1');
  assert.equal(withoutMention('@glassy x', 'glass'), '@glassy x');
  assert.equal(withoutMention('hello @glass', 'glass'), 'hello @glass');
});

test('a mark cannot be ended by its key, and has its place in each comment', () => {
  for (const key of ['k-1:2', 'a --> b', '--', 'x'.repeat(500), 'é']) {
    assert.match(markOf(key), /^<!-- glassclaw:[\w:.]+(-[\w:.]+)* -->$/, key);
    const body = marked('x'.repeat(github.capabilities({}).text_max), key);
    assert.ok(body.length <= 65_536, 'GitHub takes it');
    assert.ok(isMarked(body));
  }
  assert.equal(isMarked(`${markOf('k')} and more`), false);
});

test('places are read as they were written, of our repositories alone', () => {
  assert.deepEqual(readChat('a/b#12', ['a/b']), { owner: 'a', repo: 'b', number: 12 });
  for (const other of ['a/c#12', 'a/b#', 'a/b#1x', 'A/B#1', 'a/b']) assert.equal(readChat(other, ['a/b']), null, other);
  assert.deepEqual(readMessage('review_comment:8'), { kind: 'review_comment', id: 8 });
  for (const other of ['x:1', 'comment:', 'comment:1a', 'comment:-1']) assert.equal(readMessage(other), null, other);
});

test('the settings refuse what would be unsafe or could not be', () => {
  const repos = ['a/b'];
  const refused: [object, RegExp][] = [
    [{}, /repos/],
    [{ repos: [] }, /repos/],
    [{ repos: ['a/..'] }, /owner\/name/],
    [{ repos: ['a/b', 'A/B'] }, /names one twice/],
    [{ repos, api: 'http://example.com' }, /https address/],
    [{ repos, api: 'https://token@example.com' }, /https address/],
    [{ repos, app_id: 1 }, /goes together/],
    [{ repos, installation_id: 1 }, /goes together/],
    [{ repos, mention: '@glass' }, /without @/],
    [{ repos, poll_s: 0 }, /poll_s/],
  ];
  for (const [given, says] of refused) assert.throws(() => github.settings.parse(given), says, JSON.stringify(given));
  const defaults = { repos, poll_s: 60, webhook: false, public: false };
  assert.deepEqual(github.settings.parse({ repos }), defaults);
  assert.ok(github.settings.parse({ repos, api: 'https://code.example/api/v3' }));
});
