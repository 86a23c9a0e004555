import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { happeningOf } from '../../src/channels/slack/incoming.ts';
import * as payloads from '../../src/channels/slack/payloads.ts';
import { callOf } from '../../src/channels/slack/webhook.ts';

/** Payloads as Slack documents them. */
function fixture(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../fixtures/slack/${name}.json`, import.meta.url), 'utf8'));
}

function happening(name: string) {
  return happeningOf(payloads.eventCallback.parse(fixture(name)).event);
}

test('what people write is a message, under the name of its chat', () => {
  for (const name of ['message', 'message_thread', 'message_im', 'message_file', 'message_bot']) {
    const found = happening(name);
    assert.ok(found.kind === 'message', name);
    assert.match(found.chat, /^[CD]/);
    assert.match(found.message.ts, /^\d+\.\d+$/);
  }
});

test('a mention is a message too, of the same time', () => {
  const found = happening('app_mention');
  assert.ok(found.kind === 'message');
  assert.equal(found.message.ts, '1515449522.000016');
});

test('an edit is told from what Slack itself changes, and a deletion from both', () => {
  const edit = happening('message_changed');
  assert.ok(edit.kind === 'edit');
  assert.deepEqual([edit.message.ts, edit.at], ['1355517523.000005', '1358878755.000001']);
  assert.equal(happening('message_unfurled').kind, 'nothing');
  for (const name of ['message_deleted', 'message_tombstone']) {
    const deletion = happening(name);
    assert.ok(deletion.kind === 'deletion', name);
    assert.equal(deletion.ts, '1358878749.000002');
  }
});

test('a reaction has its sign, whatever its name and its tone', () => {
  const added = happening('reaction_added');
  const removed = happening('reaction_removed');
  assert.ok(added.kind === 'reaction' && removed.kind === 'reaction');
  assert.deepEqual([added.emoji, added.removed], ['👍', false]);
  assert.deepEqual([removed.emoji, removed.removed], ['👍', true]);
  assert.equal(happening('reaction_file').kind, 'nothing');
});

test('what Slack itself says is nobody’s message', () => {
  assert.equal(happening('message_joined').kind, 'nothing');
});

test('what lacks something is unreadable, and what is unknown is nothing', () => {
  assert.equal(happeningOf({ type: 'message' }).kind, 'unreadable');
  assert.equal(happeningOf({ type: 'message', subtype: 'message_changed' }).kind, 'unreadable');
  assert.equal(happeningOf({ type: 'message', subtype: 'message_deleted' }).kind, 'unreadable');
  assert.equal(happeningOf({ type: 'reaction_added' }).kind, 'unreadable');
  assert.equal(happeningOf({ type: 'galaxy_changed' }).kind, 'nothing');
});

test('a press has its token, its message and where it is answered', () => {
  const press = payloads.blockActions.parse(fixture('block_actions'));
  assert.equal(press.actions[0]!.value, 'Ab0-_');
  assert.equal(press.message.ts, '1548261231.000200');
  assert.match(press.response_url!, /^https:\/\/hooks\.slack\.com\//);
});

test('a socket says how many there are, and brings envelopes', () => {
  assert.equal(payloads.hello.parse(fixture('hello')).num_connections, 2);
  assert.ok(payloads.envelope.safeParse(fixture('envelope')).success);
  assert.ok(!payloads.envelope.safeParse(fixture('disconnect')).success);
  // The library would throw at this one where nobody can catch it.
  assert.ok(!payloads.envelope.safeParse({ type: 'events_api', envelope_id: 'x', payload: {} }).success);
});

test('a page of history says what follows, and which threads go on', () => {
  const page = payloads.page.parse(fixture('history'));
  assert.equal(page.messages.length, 2);
  assert.equal(payloads.slackMessage.parse(page.messages[0]).latest_reply, '1512104434.000490');
  assert.notEqual(page.response_metadata?.next_cursor, '');
});

test('Slack’s first call is a challenge', () => {
  const body = Buffer.from(JSON.stringify(fixture('url_verification')));
  const request = { method: 'POST', path: '', query: '', headers: { 'content-type': 'application/json' }, body };
  assert.deepEqual(callOf(request), {
    kind: 'challenge',
    challenge: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P',
  });
});
