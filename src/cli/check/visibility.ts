import { randomUUID } from 'node:crypto';
import { messageOf } from '../../base/errors.ts';
import { CHECK_CHANNEL, CHECK_GROUP } from '../../evidence/check/names.ts';
import type { Claim } from '../../evidence/check/report.ts';
import type { Status } from '../../evidence/status.ts';
import { keepChannelSecret } from '../secret.ts';
import { Chat, word } from './chat.ts';
import type { Found } from './experiments.ts';
import { graphServer, type Loopback } from './loopback.ts';
import { holdGateway, maySignal, pidOf, type Supervisor } from './processes.ts';
import { UNSUPERVISED } from './recovery.ts';
import type { Scene } from './scene.ts';

/** Things are broken on purpose, and mended. Each is one `Break`; `broken` says what must be seen of it, the same of all. */
interface Break {
  what: string;
  /** Resolves with what undoes it. */
  begin(): Promise<void>;
  mend(): Promise<void>;
  /** What status says of it besides its alert; null: nothing yet. */
  inStatus(status: Status): string | null;
  /** What the record says: of a message that met it, or of the thing itself. Null: nothing yet. */
  inRecord(): Promise<string[] | null>;
  /** Subjects that its alert may have. */
  subjects(): Promise<string[]>;
}

/** A message that failed, or an alert, may need the host's own patience with what is away: 15 s, and a start again. */
const PATIENCE_MS = 90_000;

export async function visibility(scene: Scene, supervisor: Supervisor | null, model: Loopback): Promise<Found> {
  const chat = await Chat.open(scene, 'break');
  const claims = [
    ...(await broken(scene, modelAway(scene, chat, model))),
    ...(await broken(scene, workspaceFull(scene, chat))),
    ...(await channelBroken(scene)),
    ...(await gatewayBroken(scene, supervisor)),
  ];
  return { claims, guards: [] };
}

async function broken(scene: Scene, one: Break): Promise<Claim[]> {
  const began = performance.now();
  const claims: Claim[] = [];
  const before = await scene.status().then(
    ({ alerts }) => alerts.map(({ id }) => id),
    () => [],
  );
  const see = async (where: string, look: () => Promise<Partial<Claim>>): Promise<void> => {
    const timed = async () => ({ ...(await look()), ms: performance.now() - began });
    claims.push(await scene.claim(`${one.what} is seen ${where}`, timed));
  };
  const trouble = await one.begin().then(() => null, messageOf);
  if (trouble !== null) claims.push(await scene.claim(`${one.what}, caused on purpose`, () => Promise.reject(trouble)));
  else {
    await see('in status', async () => {
      return { seen: await scene.until('status', async () => one.inStatus(await scene.status()), PATIENCE_MS) };
    });
    await see('in what is recorded', async () => {
      return { evidence: await scene.until('a record of it', () => one.inRecord(), PATIENCE_MS) };
    });
    await see('as an alert', async () => {
      const found = await scene.until(
        'an alert',
        async () => (await alertsOf(scene, one, before))[0] ?? null,
        PATIENCE_MS,
      );
      return { seen: found.text, evidence: [found.id, `${found.kind} ${found.subject}`] };
    });
  }
  claims.push(await scene.claim(`${one.what} is mended, and its alert clears`, () => mended(scene, one, before)));
  return claims;
}

async function mended(scene: Scene, one: Break, before: string[]): Promise<Partial<Claim>> {
  const began = performance.now();
  const alerts = (await alertsOf(scene, one, before)).map(({ id }) => id);
  await one.mend();
  if (alerts.length === 0) throw new Error('there was no alert');
  const cleared = async (): Promise<true | null> => (await alertsOf(scene, one, before)).length === 0 || null;
  await scene.until(`status without ${alerts.join(', ')}`, cleared, PATIENCE_MS);
  return { ms: performance.now() - began, evidence: alerts };
}

/** Those that stand because of it: each must clear. `before`: what stood already. */
async function alertsOf(scene: Scene, one: Break, before: string[]): Promise<Status['alerts']> {
  const subjects = await one.subjects();
  const { alerts, state } = await scene.status();
  if (state !== 'attention') return [];
  return alerts.filter(({ id, subject }) => subjects.includes(subject) && !before.includes(id));
}

/** An alert is a line of status by itself. */
function alertLine({ alerts }: Status, subject: string): string | null {
  const found = alerts.find((alert) => alert.subject === subject);
  return found === undefined ? null : `needs attention: ${found.kind} ${subject}`;
}

/** As often as it takes to be an alert; the first one is what is traced. */
const FAILURES = 3;

/** Turns of the throw-away group that fail for a cause; the words are the probe's. */
function failingTurns(scene: Scene, chat: Chat, what: string, words: string, mended: string) {
  const messages: string[] = [];
  return {
    what,
    messages,
    // One after the other: what is said meanwhile would join the turn, and fail with it.
    fail: async (): Promise<void> => {
      for (let i = 0; i < FAILURES; i += 1) {
        const message = await chat.say(words);
        messages.push(message);
        await scene.until(
          `${message} is through with`,
          async () => {
            const { handled } = await scene.trace(message);
            return handled.every(({ state }) => state === 'failed' || state === 'answered') || null;
          },
          PATIENCE_MS,
        );
      }
    },
    inStatus: (status: Status) => alertLine(status, CHECK_GROUP),
    inRecord: async (): Promise<string[] | null> => {
      const { handled } = await scene.trace(messages[0]!);
      const { state, reason, turn } = handled[0]!;
      return state === 'failed' ? [messages[0]!, turn ?? '', reason.slice(0, 120)] : null;
    },
    subjects: async () => [CHECK_GROUP],
    succeed: async (): Promise<void> => {
      await chat.answered(await chat.say(mended));
    },
  };
}

function modelAway(scene: Scene, chat: Chat, model: Loopback): Break {
  const turns = failingTurns(scene, chat, 'A model endpoint that is away', 'model', 'model');
  return {
    ...turns,
    begin: async () => {
      await model.close();
      await turns.fail();
    },
    inRecord: async () => {
      const found = await turns.inRecord();
      if (found === null) return null;
      const { steps } = await scene.trace(turns.messages[0]!);
      const request = steps.find(({ kind, data }) => kind === 'model.request' && data['decision'] === 'error');
      return request === undefined ? null : [...found, `request with status ${request.data['status']} at the gateway`];
    },
    mend: async () => {
      await model.open();
      await turns.succeed();
    },
  };
}

/** Half again of what the throw-away group may have. */
const FILL_MIB = 24;

function workspaceFull(scene: Scene, chat: Chat): Break {
  const turns = failingTurns(scene, chat, 'A workspace that is full', `fill ${FILL_MIB}`, 'empty');
  return { ...turns, begin: () => turns.fail(), mend: () => turns.succeed() };
}

const CHANNEL_SECRETS: readonly [part: string, make: () => string][] = [
  ['token', () => `check${randomUUID().replaceAll('-', '')}`],
  ['app-secret', () => randomUUID().replaceAll('-', '')],
  ['verify', () => randomUUID()],
];

/** What the vault holds for the throw-away channel: worth nothing anywhere. */
export const CHANNEL_SECRET_NAMES = CHANNEL_SECRETS.map(([part]) => `${CHECK_CHANNEL}-${part}`);

async function channelBroken(scene: Scene): Promise<Claim[]> {
  let refuses = true;
  const graph = graphServer(() => refuses);
  await graph.open();
  try {
    return await broken(scene, {
      what: 'A channel whose platform refuses its token',
      begin: async () => {
        for (const [part, make] of CHANNEL_SECRETS)
          await keepChannelSecret(`${CHECK_CHANNEL}-${part}`, make(), scene.paths);
        const settings = { phone_number_id: '10000', api: `http://127.0.0.1:${graph.port}` };
        await scene.client.call('channel_add', { name: CHECK_CHANNEL, kind: 'whatsapp', settings });
      },
      mend: async () => {
        refuses = false;
      },
      inStatus: ({ channels }) => {
        const found = channels.find(({ name }) => name === CHECK_CHANNEL);
        return found?.state === 'failed' ? `${CHECK_CHANNEL}: ${found.detail}` : null;
      },
      inRecord: async () => eventOf(scene, CHECK_CHANNEL),
      subjects: async () => [CHECK_CHANNEL],
    });
  } finally {
    await graph.close();
  }
}

function eventOf(scene: Scene, subject: string): string[] | null {
  const raised = scene.events.find(({ kind, data }) => kind === 'alert.raised' && data['subject'] === subject);
  return raised === undefined ? null : [`event ${raised.id} (alert.raised)`];
}

async function gatewayBroken(scene: Scene, supervisor: Supervisor | null): Promise<Claim[]> {
  const what = 'A gateway that is away';
  const pid = pidOf(scene.paths, 'gateway');
  const reason =
    supervisor === null
      ? UNSUPERVISED
      : pid === null
        ? 'no gateway is running'
        : maySignal(pid)
          ? null
          : 'this account may not end the gateway: use sudo';
  if (reason !== null || supervisor === null || pid === null)
    return [await scene.claim(what, async () => ({ state: 'not tested', seen: reason ?? '' }))];
  // A message in a session without a sandbox needs the gateway before anything else.
  const chat = await Chat.open(scene, 'gateway');
  const said = word();
  let message = '';
  let letGo = async (): Promise<void> => {};
  const session = async (): Promise<string> => (await scene.trace(message)).handled[0]?.session ?? '';
  return broken(scene, {
    what,
    begin: async () => {
      letGo = holdGateway(supervisor, pid);
      message = await chat.say(said);
    },
    mend: async () => {
      await letGo();
      await chat.hearsOnce([said]);
    },
    inStatus: ({ gateway }) => (gateway === 'lost' ? 'gateway: lost' : null),
    inRecord: async () => {
      const raised = eventOf(scene, await session());
      return raised === null ? null : [message, await session(), ...raised];
    },
    // That the gateway is away is an alert of its own, too, if it goes on; that a sandbox cannot start comes with the message.
    subjects: async () => [await session()],
  });
}
