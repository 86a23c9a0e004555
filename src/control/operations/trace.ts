import { z } from 'zod';
import { type Trace, traceOf } from '../../evidence/trace.ts';
import { findMessage } from '../../evidence/trace_find.ts';
import { followTrace, isAnswered } from '../../evidence/trace_follow.ts';
import { searchMessages } from '../../evidence/trace_search.ts';
import type { AskAudit } from '../../evidence/trace_steps.ts';
import { type ControlServices, type Operation, type Streaming, value } from './operation.ts';

/** Links of a platform may carry names of teams and channels. */
const REFERENCE_CHARS_MAX = 2000;

const which = {
  message: z.string().min(1).max(REFERENCE_CHARS_MAX).default('latest'),
  /** Of which `latest` is meant. */
  group: z.string().max(100).optional(),
  chat: z.string().max(300).optional(),
};

const INPUTS = {
  trace: z.strictObject(which),
  find: z.strictObject({ words: z.string().trim().min(1).max(200), since_ms: z.int().min(0).nullable().default(null) }),
};

/** Where a message went. */
export const TRACE: readonly Operation[] = [
  {
    name: 'trace',
    summary: 'the whole path of a message, by id, link, or the latest of a group or chat',
    input: INPUTS.trace,
    handle: async (services, input: z.infer<typeof INPUTS.trace>) => value(await trace(services, input)),
  },
  {
    name: 'trace_follow',
    summary: 'the steps of a message as they come, until it is settled and delivered',
    input: INPUTS.trace,
    handle: async (services, input: z.infer<typeof INPUTS.trace>) => ({ kind: 'stream', run: follow(services, input) }),
  },
  {
    name: 'trace_find',
    summary: 'messages by words of their text, newest first',
    input: INPUTS.find,
    handle: async (services, input: z.infer<typeof INPUTS.find>) => ({ kind: 'stream', run: find(services, input) }),
  },
];

type Which = z.infer<typeof INPUTS.trace>;

async function trace(services: ControlServices, { message, ...scope }: Which): Promise<Trace> {
  const { db } = services.ledger;
  const found = await traceOf(db, findMessage(db, message, scope), auditOf(services));
  return withTokens(services, found);
}

function auditOf(services: ControlServices): AskAudit {
  return (...window) => services.egress.audit(...window);
}

/** Tokens of channels are the host's, which records no use of them: each message of a chat is one. */
function withTokens({ channels }: ControlServices, found: Trace): Trace {
  const used = [found.message.place, ...found.sent.map(({ place }) => place)].map((place) => place.split(':')[0]!);
  const times = (channel: string): number => used.filter((name) => name === channel).length;
  const tokens = [...new Set(used)].flatMap((channel) =>
    channels.secretsOf(channel).map((secret) => {
      return { secret, process: 'host' as const, for: `the channel ${channel}`, times: times(channel) };
    }),
  );
  return { ...found, credentials: [...found.credentials, ...tokens] };
}

/** `{t: 'trace'}` without its steps, `{t: 'step'}` each, `{t: 'end'}` with the whole of it and whether it was answered and delivered. */
function follow(services: ControlServices, { message, ...scope }: Which): Streaming {
  const { db } = services.ledger;
  const found = findMessage(db, message, scope);
  return async (write, gone) => {
    const ended = await followTrace({
      ...{ db, message: found, audit: auditOf(services), gone },
      onEvents: (listener) => services.onEvents(listener),
      onTrace: ({ steps: _, ...begun }) => write({ t: 'trace', trace: begun }),
      onStep: (step) => write({ t: 'step', step }),
    });
    if (ended !== null) write({ t: 'end', answered: isAnswered(ended), trace: withTokens(services, ended) });
  };
}

/** `{t: 'match'}` each, `{t: 'looked'}` between, `{t: 'end'}`. */
function find(services: ControlServices, input: z.infer<typeof INPUTS.find>): Streaming {
  return async (write, gone, drained) => {
    let listening = true;
    void gone.then(() => {
      listening = false;
    });
    const searched = await searchMessages(
      services.ledger.db,
      input,
      (match) => write({ t: 'match', ...match }),
      async (looked, back_to_ms) => {
        write({ t: 'looked', looked, back_to_ms });
        await drained();
        return listening;
      },
    );
    write({ t: 'end', ...searched });
  };
}
