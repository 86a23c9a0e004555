import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OperatingError } from '../../base/errors.ts';
import { parseId, showId } from '../../base/ids.ts';
import {
  CONTROL_ROWS_MAX,
  FILE_CHUNK_BYTES_MAX,
  LOCAL_HISTORY_MAX,
  MESSAGE_TEXT_BYTES_MAX,
} from '../../base/limits/messages.ts';
import type { IncomingFile } from '../../channels/channel.ts';
import { checkFiles, harmlessName } from '../../channels/files.ts';
import type { LocalLine } from '../../channels/local/local.ts';
import { findMessage } from '../../evidence/trace_find.ts';
import type { Db } from '../../ledger/db.ts';
import { type EventRow, eventsAfter, lastEventId } from '../../ledger/events.ts';
import { messageById, outcomeOf } from '../../ledger/messages.ts';
import { fileOfOutbound } from '../../ledger/outbound.ts';
import { outboundFileGone } from '../../ledger/retention.ts';
import { history } from '../history.ts';
import { SAFE_MODE } from '../safe_mode.ts';
import { type ControlServices, type Handled, type Operation, type Streaming, value } from './operation.ts';

const chatName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'must be 1–40 of a–z, 0–9 and "-"');

const INPUTS = {
  say: z.strictObject({
    chat: chatName.default('main'),
    text: z.string(),
    /** `data` is base64. */
    files: z.array(z.strictObject({ name: z.string(), data: z.string() })).default([]),
    /** What it answers, as `trace` takes it: `m12`, or a text of ours, `o7`. */
    reply_to: z.string().min(1).max(20).nullable().default(null),
    key: z.string().min(1).max(100),
  }),
  chat: z.strictObject({
    chat: chatName.default('main'),
    history: z.int().min(0).max(LOCAL_HISTORY_MAX).default(0),
    /** Whether answers are shown while they are written. */
    partial: z.boolean().default(false),
  }),
  shown: z.strictObject({ client: z.string().max(40), key: z.string().max(40) }),
  file: z.strictObject({ id: z.string().max(20) }),
  outcome: z.strictObject({ message: z.string().min(1).max(200) }),
  events: z.strictObject({
    after: z.int().min(0).optional(),
    follow: z.boolean().default(false),
    limit: z.int().min(1).max(CONTROL_ROWS_MAX).default(100),
  }),
};

/** What a person types, sees, and asks about a message. */
export const CONVERSATION: readonly Operation[] = [
  {
    name: 'say',
    summary: 'a message of the operator to a local chat',
    input: INPUTS.say,
    handle: (services, input: z.infer<typeof INPUTS.say>) => say(services, input),
  },
  {
    name: 'chat',
    summary: 'open a local chat: its end, then every message as it comes',
    input: INPUTS.chat,
    handle: (services, input: z.infer<typeof INPUTS.chat>) => openChat(services, input),
  },
  {
    name: 'shown',
    summary: 'a terminal has shown a message',
    input: INPUTS.shown,
    handle: async (services, input: z.infer<typeof INPUTS.shown>) =>
      value({ acknowledged: services.local.acknowledge(input.client, input.key) }),
  },
  {
    name: 'file',
    summary: 'a file that an agent sent: what it is, then its bytes in parts, in base64',
    input: INPUTS.file,
    handle: async (services, input: z.infer<typeof INPUTS.file>) => ({
      kind: 'stream',
      run: fileOut(services, input.id),
    }),
  },
  {
    name: 'outcome',
    summary: 'one line, once a message is through with: its states and the reason',
    input: INPUTS.outcome,
    handle: async (services, input: z.infer<typeof INPUTS.outcome>) => ({
      kind: 'stream',
      run: outcome(services, input.message),
    }),
  },
  {
    name: 'events',
    summary: 'the hops, as they were recorded',
    input: INPUTS.events,
    handle: async (services, input: z.infer<typeof INPUTS.events>) => ({
      kind: 'stream',
      run: events(services, input),
    }),
  },
];

async function say(services: ControlServices, input: z.infer<typeof INPUTS.say>): Promise<Handled> {
  const files = input.files.map(decodedFile);
  checkFiles(files);
  if (input.text.trim() === '' && files.length === 0) throw new OperatingError('usage', 'the message is empty');
  if (Buffer.byteLength(input.text) > MESSAGE_TEXT_BYTES_MAX) {
    throw new OperatingError(
      'usage',
      `the message is longer than ${MESSAGE_TEXT_BYTES_MAX / 1024} KiB`,
      'send it in parts, or put it into a file of the workspace',
    );
  }
  const reply_to =
    input.reply_to === null ? {} : { reply_to: repliedTo(services.ledger.db, input.reply_to, input.chat) };
  const accepted = await services.say(input.chat, { text: input.text, files, ...reply_to }, input.key);
  return value({ message: showId('m', accepted.message), repeated: accepted.repeated, ignored: accepted.ignored });
}

/** The key under which the chat knows it. Throws `OperatingError('not_found')`. */
function repliedTo(db: Db, what: string, chat: string): string {
  return messageById(db, findMessage(db, what, { chat: `local:${chat}` }))!.platform_id;
}

/** Node drops what is no base64; a file must not lose bytes in silence. */
function decodedFile({ name, data }: { name: string; data: string }): IncomingFile {
  const bytes = Buffer.from(data, 'base64');
  if (bytes.toString('base64') !== data)
    throw new OperatingError('usage', `the file "${harmlessName(name)}" is not in base64`);
  return { name, data: bytes };
}

/**
 * The end of the chat as `history`, then `open`: who this terminal is, then `message` lines that it acknowledges, `typing` while an
 * agent is busy, and, if it wants them, `partial` lines: all that there is of an answer, the newest counts.
 */
async function openChat(services: ControlServices, input: z.infer<typeof INPUTS.chat>): Promise<Handled> {
  let deliver: ((line: LocalLine) => void) | null = null;
  const early: LocalLine[] = [];
  const client = services.local.connect(input.chat, (line) => (deliver === null ? early.push(line) : deliver(line)));
  if (client === null)
    throw new OperatingError('conflict', 'too many terminals have this chat open', 'close one of them');
  return {
    kind: 'stream',
    run: async (write, gone, drained) => {
      for (const line of history(services.ledger, input.chat, input.history)) write(line);
      if (services.safe) write({ t: 'history', from: null, body: SAFE_MODE, at_ms: Date.now() });
      write({ t: 'open', client: client.id });
      let behind = false;
      deliver = (line) => {
        // Who reads slowly misses pictures, and no message; the end of one is too short to matter.
        const picture = line.t === 'partial' && line.text !== '';
        if (line.t === 'partial' && (!input.partial || (picture && behind))) return;
        write(line);
        if (!picture) return;
        behind = true;
        const caughtUp = (): void => {
          behind = false;
        };
        drained().then(caughtUp, caughtUp);
      };
      for (const line of early) deliver(line);
      await gone;
      client.close();
    },
  };
}

function fileOut({ ledger, blobs }: ControlServices, id: string): Streaming {
  const outbound = parseId('o', id) ?? 0;
  const file = fileOfOutbound(ledger.db, outbound);
  if (file === undefined) throw new OperatingError('not_found', `there is no file "${id}"`);
  const gone_ms = outboundFileGone(ledger.db, outbound);
  if (gone_ms !== null)
    throw new OperatingError(
      'not_found',
      `the bytes of the file ${file.name} were removed on ${new Date(gone_ms).toISOString().slice(0, 10)}`,
      'ask the agent for it again; glass.yaml says under "files" how long they are kept',
    );
  return async (write, _gone, drained) => {
    write({ t: 'file', ...file });
    for await (const part of createReadStream(join(blobs, file.sha256), { highWaterMark: FILE_CHUNK_BYTES_MAX })) {
      write({ t: 'part', data: (part as Buffer).toString('base64') });
      await drained();
    }
    write({ t: 'end' });
  };
}

function outcome(services: ControlServices, what: string): Streaming {
  return async (write, gone) => {
    const { db } = services.ledger;
    const message = findMessage(db, what);
    const through = Promise.withResolvers<void>();
    const look = (): void => {
      const found = outcomeOf(db, message);
      if (found === undefined) return;
      stop();
      write({ message: showId('m', message), ...found });
      through.resolve();
    };
    const stop = services.onEvents(look);
    look();
    await Promise.race([through.promise, gone]);
    stop();
  };
}

/** Rows after a cursor (`id` of the last one seen); with `follow`, then every new one. */
function events(services: ControlServices, input: z.infer<typeof INPUTS.events>): Streaming {
  return async (write, gone) => {
    const { db } = services.ledger;
    let cursor = input.after ?? Math.max(0, lastEventId(db) - input.limit);
    const send = (): void => {
      for (
        let rows = eventsAfter(db, cursor, input.limit);
        rows.length > 0;
        rows = input.follow ? eventsAfter(db, cursor, input.limit) : []
      ) {
        for (const row of rows) write(shownEvent(row));
        cursor = rows.at(-1)!.id;
      }
    };
    send();
    if (!input.follow) return;
    const stop = services.onEvents(send);
    await gone;
    stop();
  };
}

function shownEvent(row: EventRow): object {
  return {
    id: row.id,
    at: new Date(row.at_us / 1000).toISOString(),
    kind: row.kind,
    ...(row.message_id === null ? {} : { message: showId('m', row.message_id) }),
    ...(row.session_id === null ? {} : { session: showId('s', row.session_id) }),
    ...(row.turn_id === null ? {} : { turn: showId('t', row.turn_id) }),
    ...(row.outbound_id === null ? {} : { outbound: showId('o', row.outbound_id) }),
    data: JSON.parse(row.data),
  };
}
