import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { Sink } from '../../src/channels/channel.ts';
import { LocalChannel, type LocalLine } from '../../src/channels/local/local.ts';
import { lastRows, Screen } from '../../src/cli/screen.ts';
import { CONVERSATION } from '../../src/control/operations/conversation.ts';
import type { ControlServices } from '../../src/control/operations/operation.ts';
import { freshLedger } from '../fakes/ledger_kit.ts';

/** What terminals see of an answer while it is written. */

const part = (text: string, turn = 't1', chat = 'main') => ({ chat, thread: '', turn, text });

test('who reads slowly misses pictures, and neither their end nor a message', async (context) => {
  const ledger = await freshLedger(context);
  const local = new LocalChannel();
  await local.start({ reachable: () => {} } as Partial<Sink> as Sink);
  const operation = CONVERSATION.find(({ name }) => name === 'chat')!;
  const services = { ledger, local } as Partial<ControlServices> as ControlServices;
  const handled = await operation.handle(services, { chat: 'main', history: 0, partial: true } as never);
  assert.ok(handled.kind === 'stream');
  const lines: LocalLine[] = [];
  const gone = Promise.withResolvers<void>();
  let read = Promise.withResolvers<void>();
  const ended = handled.run(
    (line) => lines.push(line as LocalLine),
    gone.promise,
    () => read.promise,
  );
  local.partial(part('a'));
  local.partial(part('a b'));
  local.partial(part('a b c'));
  const said = local.send({
    ...{ chat: 'main', thread: '', body: 'in between', kind: 'send', reply_to: null, file: null, key: 'k' },
  });
  read.resolve();
  await read.promise;
  await Promise.resolve();
  read = Promise.withResolvers<void>();
  local.partial(part('a b c d'));
  local.partial(part('a b c d e'));
  local.partial(part(''));
  const shown = lines.flatMap((line) => (line.t === 'partial' ? [line.text] : line.t === 'message' ? [line.body] : []));
  assert.deepEqual(shown, ['a', 'in between', 'a b c d', '']);
  await local.stop();
  await said;
  gone.resolve();
  await ended;
});

test('the end of an answer is seen above and below: the last rows that fit, wrapped, nothing of it acting', () => {
  assert.deepEqual(lastRows('one\ntwo\nthree', 80, 2), ['two', 'three']);
  assert.deepEqual(lastRows('abcdefgh', 3, 9), ['abc', 'def', 'gh']);
  assert.deepEqual(lastRows('汉字汉', 4, 9), ['汉字', '汉']);
  assert.deepEqual(lastRows('a\tb', 80, 9), ['a    b']);
  assert.equal(lastRows('\x1b[2Jx\r', 80, 9)[0], '\\u001b[2Jx\\u000d');
  assert.equal(lastRows('x'.repeat(1_000_000), 80, 24).length, 24);
});

/** What a terminal of 20 columns and 8 rows has been told. */
function screen(colour: boolean, json = false) {
  const output = Object.assign(new PassThrough(), { columns: 20, rows: 8 }) as unknown as NodeJS.WriteStream;
  const io = { out: (text: string) => void output.write(`${text}\n`), err: () => {}, json, colour };
  const shown = (): string => String((output as unknown as PassThrough).read() ?? '');
  return { screen: new Screen(io, output), shown, output };
}

test('a picture is drawn anew over the one before it, and what stays is written where it was', () => {
  const { screen: terminal, shown } = screen(true);
  terminal.partial('t1', `${'x'.repeat(20)}y`);
  assert.equal(shown(), `\r\x1b[J\x1b[?7l\x1b[2m${'x'.repeat(20)}\x1b[0m\n\x1b[2my …\x1b[0m\n\x1b[?7h`);
  terminal.partial('t1', 'z');
  assert.equal(shown(), '\r\x1b[2A\x1b[J\x1b[?7l\x1b[2mz …\x1b[0m\n\x1b[?7h');
  terminal.print('in between');
  assert.equal(shown(), '\r\x1b[1A\x1b[Jin between\n\x1b[?7l\x1b[2mz …\x1b[0m\n\x1b[?7h');
  terminal.partial('t1', '');
  assert.equal(shown(), '\r\x1b[1A\x1b[J');
  terminal.print('all of it');
  assert.equal(shown(), '\r\x1b[Jall of it\n');
});

test('a line that was pasted over two rows stays below the picture, and is there once', () => {
  const { screen: terminal, shown, output } = screen(true);
  const input = new PassThrough();
  const lines = createInterface({ input, output, terminal: true });
  terminal.listen(lines, input);
  terminal.partial('t1', 'a');
  const line = 'pasted '.repeat(4);
  input.write(line);
  shown();
  for (const text of ['b', 'c']) {
    terminal.partial('t1', text);
    const drawn = shown();
    assert.ok(
      drawn.startsWith(`\r\x1b[2A\x1b[J\x1b[?7l\x1b[2m${text} …\x1b[0m\n\x1b[?7h\x1b[1G\x1b[0J› ${line}`),
      drawn,
    );
  }
  input.write('\r');
  assert.equal(
    shown(),
    `\r\x1b[2A\x1b[J\x1b[1G\x1b[0J› ${line}\x1b[11G\r\n`,
    'what is sent stays, without the picture above it',
  );
  lines.close();
});

test('when the host goes, so does what it was writing; without a screen nothing is drawn', () => {
  const { screen: terminal, shown } = screen(true);
  terminal.partial('t1', 'a');
  terminal.partial('t2', 'b');
  shown();
  terminal.forget();
  assert.equal(shown(), '\r\x1b[2A\x1b[J');
  const pipe = screen(false);
  pipe.screen.partial('t1', 'a');
  pipe.screen.print('all of it');
  assert.equal(pipe.shown(), 'all of it\n');
});
