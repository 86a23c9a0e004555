import type { Held, Offer } from '../kits/held.ts';

/** What platforms of this kind offer, and the tests that show it here: tasks, sandboxes, harnesses and the work around them. */

export const MESSAGE = 'e2e/message.test.ts';
export const TASKS = 'e2e/tasks.test.ts';
const CHANNELS = 'e2e/templates_channels.test.ts';
const PEOPLE = 'e2e/talk.test.ts';
const WIRING = 'e2e/talk_wiring.test.ts';
const INSIDE = 'a sandbox does not know by which channel a message comes';
const COMMAND = 'a machine has it, not a chat';
export const STALLED: Held = [
  CHANNELS,
  'stalled-prs pings a group of Telegram once, and answers there when it is called',
];
const BRIEFING: Held = [CHANNELS, 'morning-briefing says one thing into a channel of Slack'];
export const MEMORY: Held = ['e2e/memory.test.ts', '{}: what was noted is there after /new, and what was said is not'];

const TIMES: Offer[] = [
  {
    name: 'tasks, once or by a cron line',
    terminal: [
      [TASKS, 'a task speaks at its time, is traced from it, and is done'],
      ['unit/scheduler.test.ts', 'a task runs at its time, each time, in a session of its own, and not before'],
    ],
    platform: [BRIEFING],
  },
  {
    name: 'tasks have a time zone',
    terminal: [['unit/scheduler_times.test.ts', '{}: {} in {} after {} is {}', 'in the hour that a jump leaves out']],
    platform: [
      [
        'e2e/templates.test.ts',
        'morning-briefing: weekday mornings in its zone; a run reads the calendar and says one thing',
      ],
    ],
  },
  {
    name: 'a gate that wakes no model',
    terminal: [[TASKS, 'a gate that says no wakes nobody; one that says yes is shown to the agent']],
    platform: [STALLED],
  },
  {
    name: 'what fails again and again is put off',
    terminal: [
      ['unit/scheduler.test.ts', 'a run that fails is followed later and later, and after the eighth failure by none'],
    ],
    platform: [
      [
        'e2e/templates.test.ts',
        'stalled-prs: a GitHub that does not answer well is a failure that the chat hears of, and writes are refused',
      ],
    ],
  },
  {
    name: 'a log of the runs',
    terminal: [
      [TASKS, 'the command line sets, shows, runs and removes tasks, and says what it cannot'],
      ['unit/scheduler.test.ts', 'the log keeps the newest runs'],
    ],
    platform: 'the log is the command line’s',
  },
];

const SANDBOX: Offer[] = [
  {
    name: 'a sandbox for each session',
    terminal: [
      [
        'e2e/hostile.test.ts',
        'a shell in the sandbox finds no credential, no file of the host and nothing of another session',
      ],
      [
        MESSAGE,
        'more chats than there are places for sandboxes: each is answered, without waiting for anybody’s idle limit',
      ],
    ],
    platform: INSIDE,
  },
  {
    name: 'mounts below mounts, read or written',
    terminal: [['e2e/groups.test.ts', 'a mount that may be written is writable inside, and no other one is']],
    platform: INSIDE,
  },
  {
    name: 'which folders may be mounted is said where no agent can write',
    terminal: [
      ['unit/authority_mounts.test.ts', '{} is not mounted'],
      [
        'e2e/groups.test.ts',
        'an edited file is shown as such, and is not in force until it is applied; a running sandbox keeps its authority',
      ],
    ],
    platform: INSIDE,
  },
  {
    name: 'each harness goes on where it was',
    terminal: [
      ['kits/harness_kit.ts', 'a new instance goes on from the resume point'],
      [MESSAGE, 'an idle sandbox ends; the next message starts another, which remembers'],
    ],
    platform: INSIDE,
  },
];

const HARNESSES: Offer[] = [
  {
    name: 'Claude',
    terminal: [MEMORY, ['e2e/commands.test.ts', '/stop ends {} in the middle of a tool, with what it had started']],
    platform: INSIDE,
  },
  { name: 'Codex', terminal: 'there is no harness for it: `native` asks the same models', platform: INSIDE },
  { name: 'OpenCode', terminal: 'there is no harness for it: `native` asks the same models', platform: INSIDE },
  {
    name: 'Ollama',
    terminal: [
      [
        'e2e/gateway.test.ts',
        'an OpenAI endpoint gets a bearer token on its own path, one without a secret gets nothing',
        'provider: ollama',
      ],
    ],
    platform: INSIDE,
  },
  {
    name: 'a model for each group',
    terminal: [['e2e/groups.test.ts', 'services and budgets are planned in words']],
    platform: INSIDE,
  },
  {
    name: 'effort for each group',
    terminal: [
      ['e2e/effort.test.ts', 'the effort of a group’s file is in what the model is asked by {}, once it was applied'],
      [
        'kits/harness_model_kit.ts',
        'the effort that its group asks for reaches the model, and none where it asks for none',
      ],
    ],
    platform: INSIDE,
  },
];

const OPERATION: Offer[] = [
  {
    name: 'a script that sets it up',
    terminal: [['e2e/launcher.test.ts', 'two first runs at once get Node and the packages once']],
    platform: COMMAND,
  },
  {
    name: 'a service of systemd',
    terminal: [['e2e/service_systemd.test.ts', 'install starts both, and does nothing the second time']],
    platform: COMMAND,
  },
  { name: 'a service of launchd', terminal: 'sandboxes are Linux’s, and so is the service', platform: COMMAND },
  {
    name: 'an upgrade',
    terminal: [
      ['unit/ledger_open.test.ts', 'a migration keeps the data, and a copy of the file as it was'],
      ['unit/ledger_open.test.ts', 'a newer schema is refused, and not a byte of the file changes'],
      ['e2e/upgrade.test.ts', 'an upgrade with a migration keeps every message, answers, and takes the branch along'],
    ],
    platform: COMMAND,
  },
  {
    name: 'it is removed',
    terminal: [
      ['e2e/uninstall.test.ts', 'it ends, its traces go, and its home stays and can be started again'],
      ['e2e/service_systemd.test.ts', 'remove ends both and keeps what they knew'],
    ],
    platform: COMMAND,
  },
  { name: 'migration from OpenClaw', terminal: 'nothing of another platform is taken over', platform: COMMAND },
  {
    name: 'a command line for admins',
    terminal: [
      [PEOPLE, 'the command line lists what waits, and decides by the name of a group'],
      [WIRING, 'wirings are listed, changed in part, and removed; the operator’s main chat is the default group’s'],
    ],
    platform: COMMAND,
  },
];

export const WORK: Offer[] = [TIMES, SANDBOX, HARNESSES, OPERATION].flat();
