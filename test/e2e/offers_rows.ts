import type { Offer } from '../kits/held.ts';
import { MEMORY, MESSAGE, STALLED, TASKS, WORK } from './offers_work_rows.ts';

/** What platforms of this kind offer, and the tests that show it here: who talks to an agent, and how. `offers.test.ts` checks it. */

const ADDRESSED = 'whatever is typed in a terminal is for its agent: it is always addressed';
const KNOWN = 'whoever can open the control socket is the operator: nobody there is unknown';

const FILES = 'e2e/files.test.ts';
const PEOPLE = 'e2e/talk.test.ts';
const WIRING = 'e2e/talk_wiring.test.ts';
const POLISH = 'e2e/polish.test.ts';
const ASKS = 'e2e/asks.test.ts';

const ROUTING: Offer[] = [
  {
    name: 'several groups in one chat',
    terminal: 'chats of a terminal are wired by the same rows, which are tried on a platform',
    platform: [[WIRING, 'a reply of one group never makes another one answer, nor does a program']],
  },
  {
    name: 'a group engages for a pattern',
    terminal: ADDRESSED,
    platform: [[WIRING, 'a group that waits for a pattern engages for what matches, and for nothing else']],
  },
  {
    name: 'a group engages when it is mentioned',
    terminal: ADDRESSED,
    platform: [['kits/channel_rows_in.ts', 'who is addressed is told by a mention and by a reply to us'], STALLED],
  },
  {
    name: 'after a mention every message of the thread is for it',
    terminal: ADDRESSED,
    platform: [
      [WIRING, 'after a mention a thread is listened to until it is told to be quiet, and no other thread is'],
    ],
  },
  {
    name: 'chatter is dropped, or kept and shown with the next turn',
    terminal: ADDRESSED,
    platform: [
      [WIRING, 'chatter is kept where a wiring says so, shown with the next turn, and linked to it'],
      [WIRING, 'wiring test says who would answer and why, and writes nothing'],
    ],
  },
  {
    name: 'a session for each chat, each thread, or one of a group for all its chats',
    terminal: 'a terminal has no threads, and each of its chats is a session',
    platform: [
      [WIRING, 'sessions for each thread, or one for the chat: an answer goes to the thread of what it answers'],
      [WIRING, 'one session for all chats of a group: each answer goes to the chat of the message'],
    ],
  },
];

const WHO: Offer[] = [
  {
    name: 'owners, admins of all groups or of one, and members',
    terminal: [
      [PEOPLE, 'an owner decides in the operator’s chat by words, and both laws hold'],
      ['e2e/commands.test.ts', '`wiring test` knows a command, and who may give it'],
    ],
    platform: [
      [PEOPLE, 'people are listed, linked, given roles and removed; the last owner and the operator stay'],
      [PEOPLE, 'an admin of the group is asked before everybody’s, and who cannot be written to alone is passed over'],
    ],
  },
  {
    name: 'an unknown sender is ignored',
    terminal: KNOWN,
    platform: [
      [PEOPLE, 'an unknown sender is ignored where nothing else is said, and the rule is in trace and status'],
    ],
  },
  {
    name: 'the owner is asked about an unknown sender, whose message is answered after a yes',
    terminal: KNOWN,
    platform: [
      [
        PEOPLE,
        'an unknown sender in a chat that asks is held; a press of the owner lets them in and answers the message once',
      ],
    ],
  },
  {
    name: 'anybody is answered in a public chat',
    terminal: KNOWN,
    platform: [[PEOPLE, 'anybody is answered in a public chat, and it is recorded as that']],
  },
  {
    name: 'a card to the owner about an unknown chat',
    terminal: [[PEOPLE, 'the command line lists what waits, and decides by the name of a group']],
    platform: [
      [PEOPLE, 'a new chat is given to a group by choosing from a card, and the message that waited is answered'],
    ],
  },
  {
    name: 'a chat is claimed by a code',
    terminal: KNOWN,
    platform: [
      [
        'e2e/pair_chat.test.ts',
        'an admin of the group claims a group chat by a code, once, and the group answers there when it is addressed',
      ],
    ],
  },
];

const CONVERSATION: Offer[] = [
  {
    name: 'a chat shows that somebody is busy',
    terminal: [
      [
        'e2e/partial.test.ts',
        'an answer is seen while it is written, then it is a message, once; nothing of that is in a row',
      ],
    ],
    platform: [
      [POLISH, 'while a turn runs its chat shows that somebody is busy, and not after it'],
      ['kits/channel_rows_out.ts', 'that we are busy is shown where we are'],
    ],
  },
  {
    name: 'reactions, both ways',
    terminal: 'a terminal has no reactions, and the agent is told so',
    platform: [
      [POLISH, 'an agent reacts to the message that it answers, once; where a chat has no reactions it is told so'],
      [POLISH, 'a reaction of a person is on record'],
    ],
  },
  {
    name: 'edits of messages',
    terminal: 'what was typed in a terminal stands there',
    platform: [
      [POLISH, 'what waits behind a running turn can be edited by its author, and deleted; what runs cannot'],
      ['kits/channel_rows_in.ts', 'an edit comes in, after its message'],
    ],
  },
  {
    name: 'files, both ways',
    terminal: [
      [FILES, 'the agent reads the exact bytes, and the trace names the files'],
      [FILES, 'an agent sends a file; a terminal shows it, and it is saved with the same bytes, never over another'],
    ],
    platform: [
      [
        'e2e/files_channels.test.ts',
        'a file that comes through the driver of Telegram lies in the inbox, byte for byte',
      ],
      ['e2e/templates.test.ts', 'weekly-report: a run reads the repository and delivers a file'],
      ['kits/channel_rows_out.ts', 'a file goes out whole, with its text'],
    ],
  },
  {
    name: 'a question blocks its tool until it is answered',
    terminal: [[ASKS, 'in a terminal a number is typed']],
    platform: [
      [ASKS, 'a press answers it, longer than a turn may last; trace, /why, status and transcript tell of it'],
      ['kits/channel_rows_in.ts', 'a press is answered at once, and comes in'],
    ],
  },
  {
    name: 'cards for approvals',
    terminal: [
      [
        'e2e/approvals_sandbox.test.ts',
        'a request waits, is shown, and leaves once it is approved: exactly those bytes',
      ],
    ],
    platform: [
      [
        'e2e/approvals_chat.test.ts',
        'a press of the admin lets it leave once; only the admin has seen the body, and the trace says who and where',
      ],
    ],
  },
  {
    name: 'commands with a slash, some for admins alone',
    terminal: [
      ['e2e/commands.test.ts', 'a command is answered while every place is asleep, and starts no sandbox'],
      ['unit/chat_commands.test.ts', 'a member is told that /usage and /model are for admins'],
    ],
    platform: [
      ['e2e/approvals_chat.test.ts', '/approve lists what waits, and with its code lets it leave'],
      [POLISH, 'the platform’s menu shows the commands, as /help does'],
      ['e2e/channel_discord_own.test.ts', 'a command of the menu is what a person would have typed, answered at once'],
    ],
  },
  {
    name: '/clear, here /new',
    terminal: [
      [
        'e2e/commands.test.ts',
        '/new begins a session without the memory of the old one, which still answers what it had',
      ],
      MEMORY,
    ],
    platform: [['e2e/agents.test.ts', 'an answer whose conversation is over is rejected, and said to be']],
  },
  {
    name: '/compact',
    terminal: [
      [
        'e2e/compaction.test.ts',
        '/compact: the next turn begins with a summary, which trace, transcript and a new beginning have',
      ],
    ],
    platform: 'it is the agent that does it, after the command, which comes through a platform as every other does',
  },
  {
    name: '/cost, here /usage',
    terminal: [['e2e/commands.test.ts', 'a command is answered while every place is asleep, and starts no sandbox']],
    platform: 'the host answers it by itself, as every command that comes through a platform',
  },
];

const TOOLS: Offer[] = [
  {
    name: 'an agent sends a message in the middle of its turn',
    terminal: [[MESSAGE, 'a send in mid-turn comes before the reply']],
    platform: [STALLED],
  },
  {
    name: 'an agent edits what it sent',
    terminal: 'what an agent has sent stands; a draft of its answer alone is edited, by the host',
    platform: [
      [
        'e2e/drafts.test.ts',
        'a long answer is one message: its beginning, edited as it grows, and in the end all of it',
      ],
    ],
  },
  {
    name: 'an agent shows a card',
    terminal: [
      [ASKS, 'a card goes as such where there are some, and as a text everywhere; what cannot be seen in it is shown'],
    ],
    platform: [
      [ASKS, 'a card goes as such where there are some, and as a text everywhere; what cannot be seen in it is shown'],
      ['e2e/channel_discord_own.test.ts', 'a card is an embed; what is too much for one is said by the text'],
    ],
  },
  {
    name: 'an agent sets tasks',
    terminal: [[TASKS, 'an agent sets, lists and removes its tasks; what cannot be kept is a reason that it reads']],
    platform: [[ASKS, 'a run of a task asks in its chat, and whoever it runs for answers']],
  },
  {
    name: 'agents write to agents that they are given as destinations',
    terminal: [
      [
        'e2e/trace.test.ts',
        'a run of a task with a service, a decision, a death, a file and another agent is one whole path',
      ],
    ],
    platform: [
      [
        'e2e/agents.test.ts',
        'a message goes to another agent, its answer comes back to where it was asked, and the trace follows',
      ],
      [
        'e2e/agents.test.ts',
        'only destinations that its authority names are there, and what is taken from it is gone at once',
      ],
    ],
  },
  {
    name: 'an agent has another one made',
    terminal: [['e2e/groups.test.ts', 'glass group makes, lists, shows, plans and applies, and never applies unasked']],
    platform: [
      [
        'e2e/agents.test.ts',
        'an agent asks for another one to be made; who administers everything decides, and then they talk',
      ],
    ],
  },
  {
    name: 'an agent has packages installed, after approval',
    terminal: [['e2e/runtimes_packages.test.ts', 'has the packages, in a sandbox that is sealed as ever']],
    platform: [['e2e/authority_granted.test.ts', 'packages: their programs run in the new sandbox']],
  },
  {
    name: 'an agent gets MCP servers, after approval',
    terminal: [
      [
        'kits/harness_model_kit.ts',
        'servers of tools are started, offered and called; the turn goes on without one that does not start',
      ],
    ],
    platform: [
      [
        'e2e/authority_requests.test.ts',
        'a program is granted by the admin of the group: shown, applied, and used in a new sandbox that is told of it',
      ],
      [
        'e2e/authority_granted.test.ts',
        'a server of tools: the agent is offered its tool, calls it and gets the answer',
      ],
    ],
  },
];

export const OFFERS: readonly Offer[] = [ROUTING, WHO, CONVERSATION, TOOLS, WORK].flat();
