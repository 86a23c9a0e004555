import type { Channel, IncomingMessage, Sink } from '../../src/channels/channel.ts';
import {
  again,
  butSink,
  delegate,
  early,
  inWrong,
  loses,
  lost,
  retryable,
  SENT,
  sendWrong,
  sinkWrong,
  unfenced,
  untilKept,
  type WrongDriver,
  wrongSink,
} from './channel_wrong_ways.ts';

/** Drivers that do one thing wrong, by the row that must find it. */
export const WRONGS: readonly WrongDriver[] = [
  inWrong('a message of a direct chat comes in whole', 'trims its text', { text: 'a' }),
  inWrong('a message of a group says where it was said and by whom', 'forgets who', {
    sender: { handle: '', name: '' },
  }),
  {
    row: 'a message of a group says where it was said and by whom',
    title: 'leaves our name in the text',
    makes: wrongSink((sink) => ({ accept: (message) => sink.accept({ ...message, text: `@us ${message.text}` }) })),
    says: /without our name/,
  },
  inWrong('a thread is told apart, both ways', 'forgets the thread', { thread: 'another' }),
  inWrong('who is addressed is told by a mention and by a reply to us', 'believes that it is addressed', {
    addressed: true,
  }),
  {
    row: 'no program is taken for a person, and we are not taken for another',
    title: 'takes each for a person',
    makes: (channel) => ({
      ...delegate(channel),
      // The programs may have been dropped before: then it invents one.
      start: (sink, cursors) =>
        channel.start(
          butSink(sink, {
            accept: async (message) => {
              const { handle, name } = message.sender;
              await sink.accept({
                ...message,
                dedupe_key: `${message.dedupe_key}+`,
                text: 'beep',
                sender: { handle, name },
              });
              return sink.accept(message);
            },
          }),
          cursors,
        ),
    }),
    says: /beep/,
  },
  inWrong('files come in whole', 'cuts a file', { files: [{ name: 'notes 1.bin', data: Buffer.from('cut') }] }),
  inWrong('a file that is too large is left out, and the text says so', 'leaves it out silently', {
    text: 'look at this',
  }),
  sinkWrong('an edit comes in, after its message', 'makes a message of an edit', (sink) => ({
    edited: async (edit) => {
      await sink.accept({ ...edit, thread: '', addressed: false, files: [] });
      return { outcome: 'done' };
    },
  })),
  sinkWrong('a deletion comes in', 'keeps it for itself', () => ({ deleted: async () => ({ outcome: 'done' }) })),
  sinkWrong('a reaction comes in, and that it was taken back', 'does not tell one from the other', (sink) => ({
    reacted: (reaction) => sink.reacted({ ...reaction, removed: false }),
  })),
  {
    row: 'that a text of ours was delivered and read comes in',
    title: 'keeps it for itself',
    makes: wrongSink(() => ({ receipt: async () => {} })),
    says: /both receipts/,
  },
  {
    row: 'that a text of ours was delivered and read comes in',
    title: 'says read of what has come',
    makes: wrongSink((sink) => ({ receipt: (receipt) => sink.receipt({ ...receipt, state: 'read' }) })),
    says: /deep-equal/,
  },
  {
    row: 'a press is answered at once, and comes in',
    title: 'loses the press',
    makes: wrongSink(() => ({ pressed: async () => ({ answer: '' }) })),
    says: /the press/,
  },
  {
    row: 'a press is answered at once, and comes in',
    title: 'answers it after the commit',
    makes: (channel, account) => {
      const answered = account.pressesAnswered.bind(account);
      let committed = 0;
      account.pressesAnswered = () => Math.min(answered(), committed);
      const late = wrongSink((sink) => ({
        pressed: async (press) => {
          const pressed = await sink.pressed(press);
          committed += 1;
          return pressed;
        },
      }));
      return late(channel, account);
    },
    says: /the press is answered/,
  },
  {
    row: 'what is unknown or broken blocks nothing, and what is broken is kept and logged',
    title: 'waits for ever at the first message',
    makes: wrongSink(() => ({ accept: () => new Promise(() => {}) })),
    says: /1 messages come in/,
  },
  {
    row: 'what is broken is kept before it is acknowledged',
    title: 'acknowledges what is broken before it is kept',
    makes: wrongSink((sink) => ({ unreadable: async (event) => void early(sink.unreadable(event)) })),
    says: /the broken event is kept/,
  },
  {
    row: 'what is unknown or broken blocks nothing, and what is broken is kept and logged',
    title: 'keeps what is broken and says so to nobody',
    makes: wrongSink((sink) => ({
      unreadable: async (event) => {
        await untilKept(() => sink.unreadable(event));
        return new Promise(() => {});
      },
    })),
    says: /the broken event is in the log/,
  },
  {
    row: 'a message is acknowledged after its commit',
    title: 'acknowledges before the commit',
    makes: wrongSink((sink) => ({ accept: (message) => early(sink.accept(message)) })),
    says: /acknowledged before its commit/,
  },
  {
    row: 'what could not be committed is delivered again, in its place',
    title: 'goes on after a failure',
    makes: wrongSink((sink) => ({ accept: (message) => early(sink.accept(message)) })),
    says: /messages come in/,
  },
  {
    row: 'a host that dies before the commit is told again, under the same key',
    title: 'makes a key of its own each time',
    makes: wrongSink((sink) => {
      const born = performance.now();
      return { accept: (message) => sink.accept({ ...message, dedupe_key: `${message.dedupe_key}-${born}` }) };
    }),
    says: /strictly equal/,
  },
  {
    row: 'what was said while nobody listened comes in, in order',
    title: 'begins with what is new',
    makes: wrongSink((sink) => ({
      accept: (message) => (message.text === 'two' ? lost() : sink.accept(message)),
    })),
    says: /messages come in/,
  },
  {
    row: 'who has stopped hands nothing over',
    title: 'does not stop',
    makes: (channel) => {
      let ends = 0;
      return { ...delegate(channel), stop: async () => (ends++ === 0 ? undefined : channel.stop()) };
    },
    says: /deep-equal/,
  },
  {
    row: 'of a thousand messages none is lost, and each chat keeps its order',
    title: 'hands two over the wrong way round',
    makes: wrongSink((sink) => {
      let kept: IncomingMessage | null = null;
      return {
        accept: async (message) => {
          if (message.text === 'number 4') {
            kept = message;
            return { message: 0, repeated: false, ignored: null };
          }
          const accepted = await sink.accept(message);
          if (kept !== null && message.text === 'number 5') await sink.accept(kept);
          return accepted;
        },
      };
    }),
    says: /deep-equal/,
    patience_ms: 30_000,
  },
  sendWrong('a text goes out as it is, with a receipt that names it', 'makes up a receipt', async (send, operation) => {
    await send(operation);
    return SENT;
  }),
  sendWrong('markup is shown as what it says', 'sends the marks as text', (send, operation) =>
    send({ ...operation, body: operation.body.replaceAll('*', '\\*').replaceAll('<', '&lt;').replaceAll('_', ' ') }),
  ),
  sendWrong(
    'a long text arrives whole, in order',
    'loses every fifth piece',
    (() => {
      let count = 0;
      return async (send, operation) => (++count % 5 === 0 ? SENT : send(operation));
    })(),
  ),
  sendWrong('a long text arrives whole, in order', 'does not open its code again', (send, operation) =>
    send({ ...operation, body: unfenced(operation.body) }),
  ),
  sendWrong('a file goes out whole, with its text', 'forgets the file', (send, operation) =>
    send({ ...operation, file: null }),
  ),
  sendWrong('a file goes out with a text of any length, and without one', 'cuts the text', (send, operation) =>
    send({ ...operation, body: operation.body.slice(0, 1024) }),
  ),
  sendWrong('a file that the platform does not take is refused before it is sent', 'sends it', (send, operation) =>
    send({ ...operation, file: { ...operation.file!, bytes: 1 } }),
  ),
  sendWrong('an answer quotes what it answers', 'does not quote', (send, operation) =>
    send({ ...operation, reply_to: null }),
  ),
  sendWrong('an answer to what is gone is sent without a quote', 'gives up', async () => ({
    ok: false,
    class: 'gone',
    reason: 'what it answers is gone',
  })),
  {
    row: 'our message becomes another one by an edit, and stays it by the same edit once more',
    title: 'sends a new one',
    makes: (channel) => ({
      ...delegate(channel),
      edit: ({ chat, thread, body }) =>
        channel.send({ chat, thread, body, kind: 'reply', reply_to: null, file: null, key: body }),
    }),
    says: /strictly equal/,
  },
  {
    row: 'our reaction is put, and put again without harm',
    title: 'puts none',
    makes: (channel) => ({ ...delegate(channel), react: async () => SENT }),
    says: /deep-equal/,
  },
  {
    row: 'that we are busy is shown where we are',
    title: 'shows it beside the thread',
    makes: (channel) => ({ ...delegate(channel), typing: (chat) => channel.typing!(chat, '') }),
    says: /deep-equal/,
    needs: 'threads',
  },
  {
    row: 'that we are busy is shown where we are',
    title: 'shows nothing',
    makes: (channel) => ({ ...delegate(channel), typing: async () => {} }),
    says: /deep-equal/,
  },
  sendWrong('a message can have nine buttons, in their order', 'takes eight', (send, operation) =>
    send({ ...operation, buttons: operation.buttons!.slice(0, 8) }),
  ),
  sendWrong('a card shows its title, its text and its fields, in their order', 'forgets a field', (send, operation) =>
    send({ ...operation, card: { ...operation.card!, fields: operation.card!.fields.slice(1) } }),
  ),
  sendWrong(
    'a card shows its title, its text and its fields, in their order',
    'sends the text alone',
    (send, operation) => {
      const { card: _, ...text } = operation;
      return send(text);
    },
  ),
  {
    row: 'the menu shows our commands',
    title: 'shows one',
    makes: (channel) => ({ ...delegate(channel), menu: (commands) => channel.menu!(commands.slice(0, 1)) }),
    says: /deep-equal/,
  },
  {
    row: 'a person’s direct chat can be opened',
    title: 'opens another',
    makes: (channel) => ({ ...delegate(channel), openDm: async () => ({ platform_id: 'x', title: 'x' }) }),
    says: /strictly equal/,
  },
  {
    row: 'an address leads to our direct chat, with a code',
    title: 'forgets the code',
    makes: (channel) => ({ ...delegate(channel), deepLink: () => channel.deepLink!('') }),
    says: /match/,
  },
  sendWrong('too many messages: the driver says when to come back, and does not come back itself', 'repeats', again),
  sendWrong('too many messages, and the platform names no time', 'repeats', again),
  sendWrong('a platform that is broken is tried again later, by others', 'repeats', again),
  sendWrong('a cut after the send is ambiguous, and not repeated', 'repeats', again),
  sendWrong('a text that the platform refuses is refused for good', 'calls it retryable', retryable),
  sendWrong('a chat where nobody is any more is gone', 'calls it retryable', retryable),
  sendWrong('a platform that cannot be reached is tried again later', 'calls it ambiguous', async (send, operation) => {
    const result = await send(operation);
    return result.ok ? result : { ...result, class: 'ambiguous' };
  }),
  {
    row: 'a token that counts no more is said to be so, and is named nowhere',
    title: 'is as well as ever',
    makes: (channel) => ({ ...delegate(channel), health: () => ({ state: 'connected', detail: 'all is well' }) }),
    says: /the channel has failed/,
  },
  {
    row: 'a second program on our token is said to be so; once it has ended, messages come in again',
    title: 'is as well as ever',
    makes: (channel) => ({ ...delegate(channel), health: () => ({ state: 'connected', detail: 'all is well' }) }),
    says: /the channel has failed/,
  },
  loses('after a short cut nothing is lost, and nothing is twice'),
  loses('after a long cut nothing is lost, and nothing is twice'),
  {
    row: 'a webhook is believed by its signature alone',
    title: 'says yes to each',
    makes: (channel) => ({ ...delegate(channel), webhook: async () => ({ status: 200 }) }),
    says: /a forged one is answered 200/,
  },
  {
    row: 'a webhook that is replayed says nothing new',
    title: 'takes each call for a new message',
    makes: (channel) => {
      let [last, calls]: [IncomingMessage | null, number] = [null, 0];
      let heard: Sink;
      return {
        ...delegate(channel),
        start: (sink, cursors) => {
          heard = sink;
          const accept: Sink['accept'] = (message) => {
            last = message;
            return sink.accept(message);
          };
          return channel.start(butSink(sink, { accept }), cursors);
        },
        webhook: async (request) => {
          const answer = await channel.webhook!(request);
          calls += 1;
          if (calls > 1) await heard.accept({ ...last!, dedupe_key: `${last!.dedupe_key}-${calls}` });
          return answer;
        },
      };
    },
    says: /strictly equal/,
  },
  {
    row: 'a webhook is answered after the commit',
    title: 'answers before it',
    makes: wrongSink((sink) => ({ accept: (message) => early(sink.accept(message)) })),
    says: /answered before its commit/,
  },
  ...(['buttons', 'cards', 'quotes', 'threads', 'files_in', 'receipts', 'missed', 'writes_first'] as const).map(
    (hidden) => ({
      row: 'the declared capabilities are true',
      title: `has ${hidden} and does not say so`,
      makes: (channel: Channel) => {
        const { [hidden]: _, ...capabilities } = channel.capabilities;
        return { ...delegate(channel), capabilities };
      },
      says: /which it does not declare/,
      needs: hidden,
    }),
  ),
  {
    row: 'the declared capabilities are true',
    title: 'says more than it can',
    makes: (channel) => ({
      ...delegate(channel),
      capabilities: { ...channel.capabilities, text_max: channel.capabilities.text_max + 100 },
    }),
    says: /not sent|strictly equal/,
  },
];
