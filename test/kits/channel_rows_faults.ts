import assert from 'node:assert/strict';
import type { IncomingMessage, SendOperation } from '../../src/channels/channel.ts';
import { inDialect } from '../../src/channels/dialects/outgoing.ts';
import type { Row } from './channel_row.ts';
import { receiptOf, refusalOf, type Scene, type Sent } from './channel_scene.ts';

/** What breaks, and what is told of it. */
export const ROWS_FAULTS: readonly Row[] = [
  {
    name: 'too many messages: the driver says when to come back, and does not come back itself',
    async run(scene) {
      scene.account.faults.next('limited');
      const refusal = refusalOf(await scene.send('direct', 'hello'));
      assert.equal(refusal.class, 'rate_limited');
      assert.equal(refusal.after_ms, 2000);
      await nothingSent(scene);
    },
  },
  {
    name: 'too many messages, and the platform names no time',
    async run(scene) {
      scene.account.faults.next('limited_untimed');
      const refusal = refusalOf(await scene.send('direct', 'hello'));
      assert.equal(refusal.class, 'rate_limited');
      assert.ok(refusal.after_ms === undefined || refusal.after_ms > 0);
      await nothingSent(scene);
    },
  },
  {
    name: 'a platform that is broken is tried again later, by others',
    async run(scene) {
      scene.account.faults.next('broken');
      assert.equal(refusalOf(await scene.send('direct', 'hello')).class, 'retryable');
      await nothingSent(scene);
    },
  },
  {
    name: 'a cut after the send is ambiguous, and not repeated',
    async run(scene) {
      scene.account.faults.next('cut');
      const lost = { key: 'lost-1' };
      assert.equal(refusalOf(await scene.send('direct', 'hello', lost)).class, 'ambiguous');
      await scene.quiet();
      const sent = scene.account.sent();
      assert.equal(sent.length, 1, 'sent once');
      if (scene.channel.reconcile === undefined) return;
      const plain = { kind: 'reply', reply_to: null, file: null } as const;
      const operation = { ...scene.account.place('direct'), body: 'hello', ...plain };
      assert.deepEqual(await scene.channel.reconcile({ ...operation, ...lost }), {
        found: true,
        receipt: sent[0]!.receipt,
      });
      assert.deepEqual(await scene.channel.reconcile({ ...operation, body: 'never', key: 'never-1' }), {
        found: false,
      });
    },
  },
  {
    name: 'a text that the platform refuses is refused for good',
    async run(scene) {
      scene.account.faults.next('refused');
      assert.equal(refusalOf(await scene.send('direct', 'hello')).class, 'permanent');
      await nothingSent(scene);
    },
  },
  {
    name: 'a chat where nobody is any more is gone',
    async run(scene) {
      scene.account.faults.next('gone');
      assert.equal(refusalOf(await scene.send('direct', 'hello')).class, 'gone');
      await nothingSent(scene);
    },
  },
  {
    name: 'a platform that cannot be reached is tried again later',
    async run(scene) {
      await scene.account.faults.offline();
      // Until the driver's client has seen the end of the connections that it kept.
      await scene.quiet();
      assert.equal(refusalOf(await scene.send('direct', 'hello')).class, 'retryable');
      await scene.account.faults.online();
      await scene.sent('direct', 'hello');
      assert.equal(scene.account.sent().length, 1);
    },
  },
  {
    name: 'a token that counts no more is said to be so, and is named nowhere',
    async run(scene) {
      const before = scene.changes;
      scene.account.faults.revoke();
      const refusal = refusalOf(await scene.send('direct', 'hello'));
      assert.equal(refusal.class, 'auth');
      await scene.until('the channel has failed', () => scene.channel.health().state === 'failed');
      assert.ok(scene.changes > before, 'the change of health was told');
      const said = [refusal.reason, scene.channel.health().detail, ...scene.logs];
      assert.match(scene.channel.health().detail, /\w+ \w+/);
      for (const secret of Object.values(scene.account.parts.secrets))
        for (const text of said) assert.ok(!text.includes(secret), 'a token in a text');
    },
  },
  {
    name: 'a second program on our token is said to be so; once it has ended, messages come in again',
    async run(scene) {
      const { faults, people } = scene.account;
      await faults.secondPoller(true);
      await scene.until('the channel has failed', () => scene.channel.health().state === 'failed');
      await faults.secondPoller(false);
      await scene.until('it is connected again', () => scene.channel.health().state === 'connected');
      await people.say({ place: 'direct', from: 'person', text: 'hello' });
      await scene.until('the message', () => scene.sink.messages.length === 1);
    },
  },
  {
    name: 'after a short cut nothing is lost, and nothing is twice',
    run: (scene) => cut(scene, () => scene.account.faults.drop()),
  },
  {
    name: 'after a long cut nothing is lost, and nothing is twice',
    run: (scene) =>
      cut(scene, async () => {
        await scene.account.faults.offline();
        await scene.quiet();
        await scene.account.faults.online();
      }),
  },
  {
    name: 'a webhook is believed by its signature alone',
    needs: 'webhook',
    async run(scene) {
      const saying = { place: 'direct', from: 'person', text: 'hello' } as const;
      for (const forged of await scene.account.hook!.forged(saying)) {
        const { status } = await scene.webhook(forged);
        assert.ok(status >= 400 && status < 500, `a forged one is answered ${status}`);
      }
      assert.deepEqual(scene.sink.calls, []);
      assert.equal((await scene.webhook(await scene.account.hook!.request(saying))).status, 200);
      assert.equal(scene.sink.messages.length, 1);
    },
  },
  {
    name: 'a webhook that is replayed says nothing new',
    needs: 'webhook',
    async run(scene) {
      const request = await scene.account.hook!.request({ place: 'direct', from: 'person', text: 'hello' });
      await scene.webhook(request);
      await scene.webhook(request);
      assert.equal(scene.sink.messages.length, 1);
    },
  },
  {
    name: 'a webhook is answered after the commit',
    needs: 'webhook',
    async run(scene) {
      const request = await scene.account.hook!.request({ place: 'direct', from: 'person', text: 'hello' });
      scene.sink.hold();
      let answered = false;
      const answer = scene.webhook(request).then(({ status }) => {
        answered = true;
        return status;
      });
      await scene.until('it is handed over', () => scene.sink.calls.length === 1);
      await scene.quiet();
      assert.equal(answered, false, 'answered before its commit');
      scene.sink.release();
      assert.equal(await answer, 200);
      scene.sink.failNext(1);
      const next = await scene.account.hook!.request({ place: 'direct', from: 'person', text: 'again' });
      const refused = await scene.webhook(next).then(
        ({ status }) => status >= 500,
        () => true,
      );
      assert.ok(refused, 'what was not committed is not answered 200');
    },
  },
  {
    name: 'the declared capabilities are true',
    async run(scene) {
      const { channel, capabilities, account } = scene;
      assert.deepEqual(structuredClone(capabilities), capabilities);
      assert.equal(channel.edit !== undefined, capabilities.edits === true, 'edits');
      assert.equal(channel.react !== undefined, capabilities.reactions === true, 'reactions');
      assert.equal(channel.typing !== undefined, capabilities.typing === true, 'typing');
      const direct = channel.openDm !== undefined || channel.deepLink !== undefined;
      assert.equal(direct, capabilities.no_direct === undefined, 'direct chats');
      // The longest message that it says it takes.
      const longest = inDialect('x'.repeat(capabilities.text_max), capabilities.markup);
      receiptOf(await scene.send('direct', longest));
      assert.equal(account.sent()[0]!.shown.length, capabilities.text_max);
      assert.equal(channel.name, account.parts.name);
      await withoutMore(scene);
      await withoutMoreIn(scene);
    },
  },
];

/** What it does not declare it refuses, or leaves out: the host's text says the same without. */
async function withoutMore(scene: Scene): Promise<void> {
  const { account, capabilities } = scene;
  const attempt = async (more: Partial<SendOperation>): Promise<Sent | undefined> => {
    const result = await scene.send('group', 'hello', more);
    return result.ok ? account.sent().find(({ receipt }) => receipt === result.receipt) : undefined;
  };
  if (capabilities.buttons !== true) {
    const sent = await attempt({ buttons: [{ token: 'token-1', label: 'Yes' }] });
    without('buttons', sent && sent.buttons.length > 0);
  }
  if (capabilities.quotes !== true) {
    const reply_to = await account.people.say({ place: 'group', from: 'person', text: 'hello', mention: true });
    without('quotes', (await attempt({ reply_to }))?.quotes === reply_to);
  }
  if (capabilities.cards !== true) {
    const sent = await attempt({ card: { title: 'Title', text: 'Text', fields: [] } });
    without('cards', sent && sent.card !== undefined);
  }
}

/** The same of what comes in, and of who can be written to. */
async function withoutMoreIn(scene: Scene): Promise<void> {
  const { channel, capabilities } = scene;
  const { people } = scene.account;
  const saying = { place: 'group', from: 'person', mention: true } as const;
  if (capabilities.writes_first === undefined) without('a way to write first', channel.openDm !== undefined);
  else assert.ok(channel.openDm, 'who can be written to has a chat that can be opened');
  if (capabilities.threads !== true) {
    await people.say({ ...saying, place: 'thread', text: 'in a thread' });
    without('threads', (await heard(scene, 'in a thread')).thread !== '');
  }
  if (capabilities.files_in !== true) {
    await people.say({ ...saying, text: 'with a file', files: [{ name: 'notes.bin', data: Buffer.from('some') }] });
    without('files of people', (await heard(scene, 'with a file')).files.length > 0);
  }
  if (capabilities.receipts !== true) {
    await people.receive?.('direct', await scene.sent('direct', 'said by us'));
    await scene.quiet();
    without('receipts', scene.sink.receipts.length > 0);
  }
  if (capabilities.missed === undefined) {
    await scene.halt();
    await people.say({ ...saying, text: 'meanwhile' });
    await scene.open();
    await people.say({ ...saying, text: 'after it' });
    await heard(scene, 'after it');
    without(
      'what was missed',
      scene.sink.messages.some(({ text }) => text === 'meanwhile'),
    );
  }
}

function without(what: string, has: boolean | undefined): void {
  assert.ok(has !== true, `${what}, which it does not declare`);
}

async function heard(scene: Scene, words: string): Promise<IncomingMessage> {
  const found = (): IncomingMessage | undefined => scene.sink.messages.find(({ text }) => text.includes(words));
  await scene.until(`"${words}" comes in`, () => found() !== undefined);
  return found()!;
}

async function nothingSent(scene: Scene): Promise<void> {
  await scene.quiet();
  assert.deepEqual(scene.account.sent(), []);
  await scene.sent('direct', 'hello');
  assert.equal(scene.account.sent().length, 1);
}

async function cut(scene: Scene, happens: () => Promise<void>): Promise<void> {
  const say = (text: string): Promise<string> => scene.account.people.say({ place: 'direct', from: 'person', text });
  await say('before');
  await scene.until('the first message', () => scene.sink.messages.length === 1);
  const cutting = happens();
  await say('meanwhile');
  await cutting;
  await say('after');
  await scene.until('all messages', () => scene.sink.messages.length === 3);
  await scene.until('it is connected', () => scene.channel.health().state === 'connected');
  assert.deepEqual(
    scene.sink.messages.map(({ text }) => text),
    ['before', 'meanwhile', 'after'],
  );
  await scene.sent('direct', 'still here');
}
