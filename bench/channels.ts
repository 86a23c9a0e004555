import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelShown } from '../src/operations/channels.ts';
import { discordGateway } from '../test/fakes/discord/account.ts';
import { hooked as github } from '../test/fakes/github/subject.ts';
import { moment } from '../test/fakes/moment.ts';
import { slackSocket } from '../test/fakes/slack/account.ts';
import { teamsSubject } from '../test/fakes/teams/account.ts';
import { polled as telegram } from '../test/fakes/telegram/subject.ts';
import { cloud as whatsapp } from '../test/fakes/whatsapp/subject.ts';
import type { Account, ChannelUnderTest, Saying } from '../test/kits/channel_scene.ts';
import { Install, rssMb, until } from './install.ts';
import { Rounds, type RoundTrips } from './rounds.ts';
import { linkedWarm } from './wire.ts';

/** Every kind of channel in one host, each against the fake of its platform, which is in this process. */
const SUBJECTS: readonly ChannelUnderTest[] = [telegram, slackSocket, discordGateway, github, teamsSubject, whatsapp];
const ROUNDS = 30;
/** Before them: what runs often has been compiled then, as in an install that has been up for a day (decision 0012). */
const WARMING = 20;
const IDLE_MS = 10_000;
/** After the start: what it has left is collected in the background for half a minute. */
const REST_MS = 30_000;
const PORT = 8787;

export interface ChannelFigures {
  /** Resident, of the host, with all drivers less without any. */
  idle_mb: number;
  /** Of one core. Most of it is Discord’s heartbeat, which its fake wants 270 times as often. */
  idle_cpu_percent: number;
  /** From a person's word on the platform to the answer there, by kind. */
  warm: [kind: string, RoundTrips][];
}

/** And WhatsApp as a linked device afterwards, which would not believe in its fake without a change to the code. */
export async function channelFigures(): Promise<ChannelFigures> {
  const figures = await together();
  figures.warm.push(['whatsapp-linked', await linkedWarm(WARMING, ROUNDS)]);
  return figures;
}

async function together(): Promise<ChannelFigures> {
  const accounts = await Promise.all(
    SUBJECTS.map(async (subject) => ({ kind: subject.kind.kind, account: await subject.start() })),
  );
  const install = new Install();
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  await install.start();
  await install.settle();
  await sleep(4000);
  const without = rssMb(install.pid('host'));
  try {
    for (const { kind, account } of accounts) await add(install, kind, account);
    await install.settle();
    for (const { kind } of accounts) await connected(install, kind);
    await sleep(REST_MS);
    const before = cpuTicks(install.pid('host'));
    await sleep(IDLE_MS);
    const idle_cpu_percent = Number((((cpuTicks(install.pid('host')) - before) * 1000) / IDLE_MS).toFixed(1));
    const idle_mb = rssMb(install.pid('host')) - without;
    const warm: ChannelFigures['warm'] = [];
    for (const { kind, account } of accounts) warm.push([kind, await warmOf(kind, account)]);
    return { idle_mb, idle_cpu_percent, warm };
  } finally {
    await install.stop();
    for (const { account } of accounts) await account.stop();
  }
}

async function add(install: Install, kind: string, account: Account): Promise<void> {
  const { settings, secrets } = account.parts;
  for (const [part, value] of Object.entries(secrets))
    await install.secret(`${kind}-${part}`, value, { form: { kind: 'channel' }, hosts: [] });
  await install.control.call('channel_add', { name: kind, kind, settings });
  const identity = { channel: kind, handle: account.handle('person') };
  await install.control.call('person_add', { name: 'Olga', identity, role: 'owner' });
  const chat = `${kind}:${account.place('direct').chat}`;
  await install.control.call('wiring_set', { chat, group: 'assistant', engage: 'always', session: 'chat' });
  await connected(install, kind);
}

async function connected(install: Install, kind: string): Promise<void> {
  await until(`${kind} is connected`, async () => {
    const { state, detail } = await install.control.call<ChannelShown>('channel_show', { name: kind });
    if (state !== 'connected') throw new Error(detail);
  });
}

async function warmOf(kind: string, account: Account): Promise<RoundTrips> {
  const rounds = new Rounds();
  for (let round = -WARMING; round < ROUNDS; round += 1) {
    const text = `round ${round + 100}`;
    const began = moment();
    await say(kind, account, { place: 'direct', from: 'person', text });
    while (!account.sent().some(({ shown }) => shown.includes(`You said: ${text}`))) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (performance.now() - began.at_ms > 20_000) throw new Error(`${kind} does not answer`);
    }
    if (round >= 0) rounds.trip(began);
  }
  return rounds.spreads();
}

/** Where the platform calls, this process does it in its place. */
async function say(kind: string, account: Account, saying: Saying): Promise<void> {
  if (account.hook === undefined) return void (await account.people.say(saying));
  const { method, headers, body } = await account.hook.request(saying);
  await fetch(`http://127.0.0.1:${PORT}/hooks/${kind}`, { method, headers, body: new Uint8Array(body) });
}

/** Of ten milliseconds each. */
function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return Number(user) + Number(system);
}
