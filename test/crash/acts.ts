import { makeLate, rowOf } from './rows.ts';
import { COLD_MS, eventually, type World } from './world.ts';

/**
 * What people, agents and the operator do besides saying something. Whoever dies over it, it can be done again: each looks first
 * whether it is done already.
 */

/** The platform tells of what is no message, or what became of one of ours; whoever dies over it, it is told again. */
export async function besides(world: World, what: object): Promise<void> {
  const body = JSON.stringify({ chat: 'alpha', from: 'alice', ...what });
  await fetch(`${world.platform}/people/change`, { method: 'POST', body });
}

/** A group is stopped, and goes on; what was said to it meanwhile is answered once. */
export async function stopGroup(world: World, meanwhile: () => Promise<number>): Promise<void> {
  const stopped = async (): Promise<boolean> =>
    (await world.control.call<{ stopped: object[] }>('status')).stopped.length > 0;
  await eventually('a group is stopped', () => world.control.call('group_stop', { group: 'flaky' }));
  await meanwhile();
  await eventually('it goes on', async () => {
    if (await stopped()) await world.control.call('group_resume', { group: 'flaky' });
  });
}

/** The operator writes from a terminal, through restarts: the same key is the same message. */
export async function desk(world: World): Promise<void> {
  const { control } = world;
  await eventually('the operator says something', () =>
    control.call('say', { chat: 'desk', text: 'desk', key: 'desk-1' }),
  );
  await eventually('the operator has something searched for', () =>
    control.call('say', { chat: 'desk', text: 'search desk', key: 'desk-2' }),
  );
  await eventually('the operator has one more role', () =>
    control.call('person_role', { person: 'p1', role: 'admin' }),
  );
  await eventually('the operator has a code', () => control.call('pair', { channel: 'platform', person: 'p1' }));
  await eventually('the operator has seen the alerts', () => control.call('clear_alerts'));
  await eventually('the ways of alerts are tried', () => testAlerts(world));
}

/** By all ways; of them only the sign of life is waited for. */
async function testAlerts(world: World): Promise<void> {
  const tried = new AbortController();
  const onRow = ({ way }: Record<string, unknown>): void => {
    if (way === 'heartbeat') tried.abort();
  };
  await world.control.stream('alert_test', {}, onRow, tried.signal).catch(() => {});
  if (!tried.signal.aborted) throw new Error('not yet');
}

/** The gateway is away while an alert is to go by it. */
export async function missGateway(world: World): Promise<void> {
  await world.withoutGateway(() => eventually('an alert waits for the gateway', () => testAlerts(world)));
}

/** Where somebody answers is changed and changed back. */
export async function wireSpare(world: World): Promise<void> {
  const { control } = world;
  const place = { chat: 'platform:spare', group: 'flaky' };
  const isWired = async (): Promise<boolean> => {
    const { wirings } = await control.call<{ wirings: { chat: string }[] }>('wirings');
    return wirings.some(({ chat }) => chat === place.chat);
  };
  await eventually('a chat is wired', () => control.call('wiring_set', { ...place, engage: 'mention' }));
  await eventually('it lets nobody in', () => control.call('wiring_policy', { chat: place.chat, policy: 'strict' }));
  await eventually('it is wired no more', async () => {
    if (await isWired()) await control.call('wiring_remove', place);
  });
}

/** A self-check comes and goes. */
export async function checkItself(world: World): Promise<void> {
  const port = Number(new URL(world.options.modelOrigin).port);
  await eventually('a check has its group', () => world.control.call('check_group', { port }));
  await eventually('what a check has made is removed', () => world.control.call('check_clear'));
}

/** A task that is run at once, and one whose time comes by itself; each is run once. */
export async function runTasks(world: World, atOnce: string, inTime: string): Promise<void> {
  const { control } = world;
  const asked = { group: 'assistant', to: 'platform:alpha' };
  const isThere = async (text: string): Promise<boolean> => {
    const { tasks } = await control.call<{ tasks: { text: string }[] }>('tasks');
    return tasks.some((task) => task.text === text) || rowOf(world, text) !== undefined;
  };
  await eventually('a task is there', async () => {
    if (!(await isThere(atOnce))) await control.call('task_add', { ...asked, when: 'every 1h', text: atOnce });
  });
  await eventually('the task is run', async () => {
    if (rowOf(world, atOnce) === undefined) await control.call('task_run', { task: 'k1' });
  });
  await eventually('the task rests', () => control.call('task_change', { task: 'k1', what: 'pause' }));
  await eventually('a task has a time', async () => {
    const when = `at ${new Date(Date.now() + SOON_MS).toISOString().replace(/\.\d+Z$/, 'Z')}`;
    if (!(await isThere(inTime))) await control.call('task_add', { ...asked, when, text: inTime });
  });
}

/** A task's time has no parts of a second, and must not be over when it is set. */
const SOON_MS = 2000;

/** A second channel comes, is proven and tried, and goes. */
export async function spareChannel(world: World): Promise<void> {
  const call = world.control.call.bind(world.control);
  const terms = { form: { kind: 'channel' }, hosts: [] };
  await world.vault({ op: 'set', name: 'spare-token', value: 'fake-token-good', terms });
  const has = async (): Promise<boolean> => {
    const { channels } = await call<{ channels: { name: string }[] }>('channels');
    return channels.some(({ name }) => name === 'spare');
  };
  const settings = { url: world.platform, deaf: true };
  await eventually('a channel is added', async () => {
    if (!(await has())) await call('channel_add', { name: 'spare', kind: 'fake', settings });
  });
  await eventually('somebody decides there', async () => {
    const { identities } = await call<{ identities: { channel: string }[] }>('person_show', { person: 'p1' });
    if (!identities.some(({ channel }) => channel === 'spare'))
      await call('person_link', { person: 'p1', channel: 'spare', handle: 'alice' });
  });
  await eventually('the channel is proven', () => call('channel_prove', { name: 'spare' }));
  await eventually('the channel is tried', async () => {
    let said = false;
    await world.control.stream('channel_test', { name: 'spare', reply: false }, ({ step, state }) => {
      said ||= step === 'send' && state === 'ok';
    });
    if (!said) throw new Error('not yet');
  });
  await eventually('the channel is removed', async () => {
    if (await has()) await call('channel_remove', { name: 'spare' });
  });
}

/** Two agents ask: nobody answers the first one in time, and somebody answers the second one with `answer`. It is asked once and hears of it once. */
export async function answerAgent(world: World, answer: string): Promise<void> {
  const asked = (chat: string): Promise<void> => {
    const isThere = async (): Promise<void> => {
      const { sent } = await world.journal();
      if (!sent.some((one) => one.chat === chat && one.text.includes('open for'))) throw new Error('not yet');
    };
    return eventually('the question is there', isThere, COLD_MS);
  };
  await world.say('omega', 'ask Anybody?');
  await asked('omega');
  makeLate(world);
  await world.say('iota', 'ask Your word?');
  await asked('iota');
  await world.say('iota', answer);
}

/** Nobody decides on one stranger in time; the next one is let in by a press of a button. */
export async function letIn(world: World, token: string): Promise<void> {
  await world.say('kappa', 'May I?', 'carl');
  await eventually('a stranger waits', async () => {
    const { questions } = await world.control.call<{ questions: { state: string }[] }>('approvals');
    if (!questions.some(({ state }) => state === 'pending')) throw new Error('nobody');
  });
  makeLate(world);
  await world.say('kappa', token, 'dora');
  await eventually('a button is pressed', async () => {
    const { sent } = await world.journal();
    const card = sent.find(({ chat, text, buttons }) => chat === 'dm-alice' && buttons && text.includes('dora'));
    if (card === undefined) throw new Error('there is no card');
    await world.press(card.chat, card.buttons![0]!.token);
  });
}

/** A request that a person is asked about. Whoever dies over it takes it along. */
export async function askForRequest(world: World, group: string, end: 'approve' | 'deny' | 'leave'): Promise<void> {
  await liveSession(world, group)
    .then((session) => world.heldRequest(session, end))
    .catch(() => {});
}

/** Any, or one of this group. Rejects when none is live. */
export async function liveSession(world: World, group?: string): Promise<string> {
  const { sessions } = await world.control.call<{ sessions: { session: string; group: string }[] }>('status');
  const live = sessions.find((session) => group === undefined || session.group === group);
  if (live === undefined) throw new Error('no session is live');
  return live.session;
}
