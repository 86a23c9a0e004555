import type { Held } from '../kits/held.ts';

/** How platforms of this kind fail the people who use them, and bad input in conversations: which tests hold what. `failures.test.ts` checks it. */

export interface Row {
  name: string;
  by: Held[];
  /** Why nothing holds all of it yet. */
  skip?: string;
}

export const HERE = 'e2e/failures.test.ts';

export const FAILURES: Row[] = [
  {
    name: 'follow-up messages are marked done when pushed, before the model saw them; a crash then loses them for good',
    by: [
      [HERE, 'a follow-up that was pushed into a turn whose sandbox is killed is answered'],
      ['unit/session.test.ts', 'what joined and was not taken goes back to the queue, in order'],
      ['kits/harness_model_kit.ts', 'a message is not taken before a request with it leaves'],
    ],
  },
  {
    name: 'it takes a minute until a crashed turn is retried; nothing wakes it but a sweep',
    by: [
      ['e2e/message.test.ts', 'a sandbox that is killed in mid-turn is replaced, and the message answered'],
      ['e2e/message.test.ts', 'after all of this both laws hold, nothing is overdue, and no wake-up was lost'],
    ],
  },
  {
    name: 'a burst of 15 is answered 6–15 first; 10 stuck rows starve the queue forever',
    by: [
      ['e2e/message.test.ts', 'a burst of 15 is answered in arrival order, each once'],
      [HERE, 'ten stuck rows starve nobody: a burst beside them is answered in the order of arrival'],
    ],
  },
  {
    name: '"delivered" with no adapter or client connected; files deleted',
    by: [
      ['e2e/message.test.ts', 'a reply waits for a terminal, and is delivered once when one comes'],
      ['unit/delivery.test.ts', 'a row whose driver is not configured stays where it is'],
      ['unit/delivery.test.ts', 'with nobody there a row waits, uncounted, and goes first when somebody is'],
      [
        'unit/retention.test.ts',
        'the bytes of old files go, their rows say so, and everything that is not over keeps its own',
      ],
    ],
  },
  {
    name: 'agent and person never learn that a send failed',
    by: [
      ['unit/delivery.test.ts', 'a refusal "{}" is final: agent and owner are told, and the next row goes'],
      [
        'unit/ledger_conservation.test.ts',
        'an answer of which nothing arrived is unheard; one part that arrived is enough',
      ],
    ],
  },
  {
    name: 'duplicates after restart; stale reply sent to the wrong message',
    by: [
      ['crash/crash.test.ts', 'whatever is killed and when, no message is lost, sent twice or settled twice'],
      ['unit/delivery_unknown.test.ts', 'a row that was being sent when the host died, and the platform says {}: {}'],
      ['unit/session.test.ts', 'done twice settles once; the second is of a turn that does not run'],
      ['unit/ledger_turns.test.ts', 'an attempt that died cannot settle the next one'],
      [
        'unit/router_route.test.ts',
        'the same event again writes nothing, wakes nobody, and gets the first one’s answer',
      ],
    ],
  },
  {
    name: 'queue dropped on cold boot',
    by: [
      ['e2e/message.test.ts', 'the death of the host in mid-turn is an attempt that nobody is blamed for'],
      ['unit/router_route.test.ts', 'a cursor is kept per channel, the last value of it'],
    ],
  },
  {
    name: 'a channel that fails to start leaves the host "healthy" but deaf',
    by: [
      [HERE, 'a channel that cannot start is in status, is told through another channel, and holds up nobody'],
      [
        'e2e/alerts.test.ts',
        'a channel that goes deaf is told through the other one, and that it is back in the same place',
      ],
    ],
  },
  {
    name: 'access allowed when a module or table is missing; invalid regex fails open',
    by: [
      ['unit/router_route.test.ts', 'without the table {} nobody gets through, and nobody is woken'],
      ['unit/router_route.test.ts', '{} is kept and ignored by a rule that has a name', 'a chat nobody wired'],
      ['unit/router_admit.test.ts', 'deny is what remains when nothing speaks for the message'],
      ['e2e/talk_wiring.test.ts', 'an invalid pattern is refused when it is set, and what stood before stays'],
      ['unit/router_pattern.test.ts', '{} is no pattern: refused when it is set, and it matches nothing'],
    ],
  },
  {
    name: 'approval card hides arguments; validate one thing, run another',
    by: [
      [
        'e2e/approvals_sandbox.test.ts',
        'a request waits, is shown, and leaves once it is approved: exactly those bytes',
      ],
      ['unit/talk_bad_input.test.ts', 'a tampered object is not what was asked, and is not done'],
      ['unit/request_card.test.ts', 'what is left out is said, and where it can be read'],
      ['e2e/groups.test.ts', 'apply takes only the object that was shown'],
    ],
  },
  {
    name: 'any person can press the button; approval replayed',
    by: [
      [
        'unit/approvals_chat.test.ts',
        'a member, a stranger, an admin of another group: nothing happens, and it is recorded',
      ],
      [
        'unit/approvals.test.ts',
        'a decision is made once: a second one changes nothing, reaches nobody, and says whose the first was',
      ],
      ['unit/approvals.test.ts', 'an approval after the time is refused, and the gateway is not asked'],
    ],
  },
  {
    name: 'a second harness path skipped the sandbox',
    by: [
      [HERE, 'on the host, programs and threads are started by what is known to, and by nothing else'],
      ['e2e/proofs.test.ts', 'a group is proven before its first sandbox starts, and not again while nothing changes'],
      ['kits/harness_kit.ts', 'answers a message: it is taken once, then the turn is done once, with a resume point'],
    ],
  },
  {
    name: 'media path aliases, symlinks in outgoing files leave the workspace',
    by: [
      ['e2e/files.test.ts', '{} is not sent as a file', "['a link', '/proc/self/exe'"],
      ['e2e/hostile.test.ts', 'links that the agent leaves behind lead the host nowhere'],
      [
        'unit/session_tools.test.ts',
        'an agent sends a file that it has streamed in this turn, and none that it only names',
      ],
    ],
  },
  {
    name: 'controls that exist, are enabled, and do nothing',
    by: [
      [
        'e2e/proofs.test.ts',
        'a boundary with a hole starts nothing: the person is told, the operator is alerted, and it says which guard',
      ],
      [
        'e2e/proofs.test.ts',
        'glass inspect shows what is declared, what is, and every attempt, as a table, JSON and a report',
      ],
      ['e2e/egress_sabotage.test.ts', 'without {}, "{}" comes out differently'],
    ],
  },
  {
    name: 'rules kept in the prompt vanish at compaction',
    by: [
      ['e2e/egress.test.ts', 'what no rule allows is refused as JSON that says what would work, and reaches nothing'],
      ['unit/session_tools.test.ts', 'an agent sends to the chats of its group only'],
      [
        'e2e/compaction.test.ts',
        '/compact: the next turn begins with a summary, which trace, transcript and a new beginning have',
      ],
    ],
  },
  {
    name: 'stop does not stop',
    by: [
      [
        'e2e/commands.test.ts',
        '/stop ends the turn and the sandbox; what waits is dropped, and the next message is served',
      ],
      ['e2e/commands.test.ts', '/stop ends {} in the middle of a tool, with what it had started'],
      ['unit/chat_stop.test.ts', 'the receipt of /stop names what the turn changed outside'],
    ],
  },
  {
    name: 'idle burn, no enforced budget',
    by: [
      [
        'e2e/gateway_budget.test.ts',
        'requests of all sessions together are refused from the budget on, also after kill −9',
      ],
      [
        'e2e/gateway_budget.test.ts',
        'an hour in which nobody speaks has its own budget; a word opens it, a restart does not',
      ],
    ],
  },
  {
    name: 'host as root: sandbox cannot write, message "completed" without an answer',
    by: [
      ['e2e/runtimes_bubblewrap.test.ts', 'the same tests pass for an ordinary user'],
      ['e2e/launcher.test.ts', 'an ordinary user starts it, talks and stops it'],
      [
        'e2e/message.test.ts',
        'a group that cannot start is told to the person, shown by status, and forgotten when it is repaired',
      ],
    ],
  },
  {
    name: 'upgrade breaks, hides or deletes data; no way back',
    by: [
      [
        'unit/ledger_open.test.ts',
        'a migration that fails leaves the old ledger in force, whole, and nothing beside it',
      ],
      ['unit/ledger_open.test.ts', 'a newer schema is refused, and not a byte of the file changes'],
      [
        'e2e/upgrade_bad.test.ts',
        'a version that {} is found on a copy: the install runs on, and nothing of it was touched',
        'answers, and has deleted what people said',
      ],
      [
        'e2e/upgrade_bad.test.ts',
        'a version that {} is taken back by itself: version, schema and messages as before',
        'does not start on the real home',
      ],
      ['e2e/upgrade.test.ts', 'an upgrade with a migration keeps every message, answers, and takes the branch along'],
      ['e2e/upgrade.test.ts', 'back over a migration says what it would lose, and loses that only when it is told to'],
      ['e2e/upgrade_deaths.test.ts', 'killed while {} ({}, {} ms later): the next start has the old version, whole'],
    ],
  },
  {
    name: 'backup says complete but lacks the database',
    by: [
      [
        'e2e/backup.test.ts',
        'a backup that says that it is complete and lacks the ledger, or has a cut vault, is said to be none',
      ],
      ['e2e/backup.test.ts', 'a backup that is made while messages flow and turns run is proven by an answer'],
      ['e2e/backup.test.ts', 'a backup that is killed at any point is none, and the next one clears up'],
      ['unit/backup.test.ts', 'a database that was cut before it was hashed is found, too'],
    ],
  },
  {
    name: 'setup needs a second product, a paid CLI or a cloud account',
    by: [
      ['e2e/launcher.test.ts', 'two first runs at once get Node and the packages once'],
      ['e2e/launcher.test.ts', 'it works below closed folders, with spaces, through a link, from anywhere'],
    ],
  },
  {
    name: 'log lines without dates, sandbox output discarded',
    by: [
      [HERE, 'each line of a log is an object with its date'],
      [
        'unit/output.test.ts',
        'what a sandbox prints without end is kept up to a cap, said once, over all of the session’s sandboxes',
      ],
    ],
  },
  { name: 'a "hello" costs 118 KB of prompt', by: [['kits/harness_model_kit.ts', 'the first request is small']] },
];

const BAD = 'unit/talk_bad_input.test.ts';
const TIMES = 'unit/scheduler_times.test.ts';
const NO_TIME = '"{}" in {} is refused: {}';
const NEXT_TIME = '{}: {} in {} after {} is {}';

export const BAD_INPUT: Row[] = [
  {
    name: 'two approvers at once',
    by: [
      [BAD, 'two approvers at once: one wins, and the other is told who decided'],
      ['e2e/approvals_chat.test.ts', 'two approvers at once: one decides, the other is told who'],
    ],
  },
  {
    name: 'an approval after expiry',
    by: [
      [BAD, 'approval after expiry: nothing is done, and whoever tries is told'],
      ['e2e/approvals.test.ts', 'what nobody decides is refused after its time, and an approval then is too late'],
    ],
  },
  {
    name: 'a forged or repeated button token',
    by: [
      [BAD, 'a forged button token, from a stranger and from an owner: an answer, a record, and nothing done'],
      [BAD, 'a repeated button token: the second press changes nothing; the same event again is not even heard'],
      ['e2e/asks.test.ts', 'forged, foreign and unknown presses and words change nothing, and are recorded'],
    ],
  },
  {
    name: 'a reply by a stranger in an approved chat',
    by: [[BAD, 'a stranger’s reply in an approved chat: their `approve` is talk, and decides nothing']],
  },
  {
    name: 'a task every second',
    by: [
      [TIMES, NO_TIME, "'every 1s'"],
      [TIMES, NO_TIME, "'cron * * * * * *'"],
    ],
  },
  {
    name: 'an impossible cron line',
    by: [
      [TIMES, NO_TIME, "'cron 0 0 30 2 *'"],
      [TIMES, NO_TIME, "'cron 61 * * * *'"],
    ],
  },
  {
    name: 'a clock that is set back and forth',
    by: [
      ['unit/scheduler.test.ts', 'a clock that is set back and forth: no time comes twice, and none is lost for a day'],
      [TIMES, NEXT_TIME, "'a clock that was set back'"],
    ],
  },
  {
    name: 'the gap and the second hour of summer time',
    by: [
      [TIMES, NEXT_TIME, "'a time in the hour that a jump leaves out'"],
      [TIMES, NEXT_TIME, "'the first of a time that comes twice'"],
      [TIMES, NEXT_TIME, "'never its second'"],
    ],
  },
  { name: 'a zone that does not exist', by: [[TIMES, NO_TIME, "'Mars/Base'"]] },
  {
    name: '1,000 pending approvals',
    by: [
      [BAD, '1,000 pending requests: so many wait as somebody can read, and each of the others says why not'],
      ['unit/gateway_holds.test.ts', 'three of a group wait, whichever sessions ask; another group has its own three'],
    ],
  },
  {
    name: 'a file of 2 GB',
    by: [
      ['unit/incoming_files.test.ts', 'a file of 2 GB is refused by its size, and nothing of it is read'],
      ['e2e/files.test.ts', 'a message of 2 GB is refused before it has come, and the host holds none of it'],
    ],
  },
  {
    name: 'a file named ../../x',
    by: [
      ['e2e/files.test.ts', '{} as the name of a file lands in its own folder as a plain name', "'../../x'"],
      ['unit/files.test.ts', 'the name {} is kept without what is dangerous in it, and names no path'],
    ],
  },
  {
    name: 'an image that is a zip bomb',
    by: [['kits/harness_files.ts', 'an image that {} is told of, never shown; others are', 'bombOf(50_000, 50_000)']],
  },
  {
    name: 'names written from right to left',
    by: [[BAD, 'right-to-left names, and others that would redraw a card, are shown as what they are']],
  },
  {
    name: 'a person who floods',
    by: [
      [BAD, 'a person who floods: one card for a stranger, and in a public chat so many answers as fit into an hour'],
      ['unit/router_route.test.ts', 'a full queue refuses the next message and says so; with room again it is taken'],
    ],
  },
];
