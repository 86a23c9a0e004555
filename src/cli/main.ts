import { describeError, exitCodeOf, OperatingError, systemCodeOf } from '../base/errors.ts';
import { claimRunBase, homeFrom, type Paths, pathsOf } from '../base/paths.ts';
import { withService } from '../base/service.ts';
import { VERSION } from '../base/version.ts';
import { type Io, terminalIo } from './io.ts';

/** The command line: one table of verbs. Each is loaded when it is asked for, so that help costs nothing. */
interface Verb {
  name: string;
  usage: string;
  summary: string;
  /** Flags besides `--json`; anything else that begins with `--` is refused. */
  flags: string[];
  /** Words besides flags, the values of flags among them. */
  words: number;
  load(): Promise<(args: string[], paths: Paths, io: Io) => Promise<number>>;
}

const VERBS: readonly Verb[] = [
  {
    name: 'up',
    usage: 'up [--detach] [--safe] | up --trial',
    summary:
      'start GlassClaw; --safe: to look at it, nothing runs or leaves; --trial: see whether it would answer, and end',
    flags: ['--detach', '--safe', '--trial'],
    words: 0,
    load: async () => (await import('./up.ts')).up,
  },
  {
    name: 'down',
    usage: 'down',
    summary: 'stop it, after the running turns',
    flags: [],
    words: 0,
    load: async () => (await import('./down.ts')).down,
  },
  {
    name: 'stop',
    usage: 'stop [<group> | --all]',
    summary: 'emergency stop: of a group, or of everything, at once',
    flags: ['--all'],
    words: 1,
    load: async () => (await import('./stop.ts')).stop,
  },
  {
    name: 'resume',
    usage: 'resume <group> | --all [--drop-held]',
    summary: 'let a stopped group go on',
    flags: ['--all', '--drop-held'],
    words: 1,
    load: async () => (await import('./stop.ts')).resume,
  },
  {
    name: 'status',
    usage: 'status [--clear]',
    summary: 'what is going on, and what is wrong',
    flags: ['--clear'],
    words: 0,
    load: async () => (await import('./status.ts')).status,
  },
  {
    name: 'alert',
    usage: 'alert list|ack|test <id>',
    summary: 'what went wrong, who was told, and whether they can be',
    flags: [],
    words: 2,
    load: async () => (await import('./alert.ts')).alert,
  },
  {
    name: 'chat',
    usage: 'chat [--chat <name>] [--partial] [text]',
    summary: 'talk to your agent',
    flags: ['--chat', '--partial'],
    words: Number.POSITIVE_INFINITY,
    load: async () => (await import('./chat.ts')).chat,
  },
  {
    name: 'file',
    usage: 'file <o12> [path]',
    summary: 'save a file that an agent sent',
    flags: [],
    words: 2,
    load: async () => (await import('./file.ts')).file,
  },
  {
    name: 'trace',
    usage: 'trace [<message|link>|latest] [--find <words>] …',
    summary: 'what happened to a message, and why: steps, sums, a page',
    flags: ['--group', '--chat', '--find', '--since', '--follow', '--html', '--out'],
    words: 6,
    load: async () => (await import('./trace.ts')).trace,
  },
  {
    name: 'events',
    usage: 'events [--follow] [--after <id>] | verify [--head <n:hash>] | export [--from <day>] [--to <day>]',
    summary: 'every recorded step; whether the record is whole; the record for others to check',
    flags: ['--follow', '--after', '--head', '--egress-head', '--from', '--to'],
    words: 3,
    load: async () => (await import('./events.ts')).events,
  },
  {
    name: 'secret',
    usage: 'secret set|list|promote|remove|rotate <name>',
    summary: 'credentials, kept by the gateway',
    flags: ['--stdin', '--kind', '--host', '--header', '--format', '--user', '--parameter', '--next'],
    words: Number.POSITIVE_INFINITY,
    load: async () => (await import('./secret.ts')).secret,
  },
  {
    name: 'group',
    usage: 'group list|templates|new|show|plan|apply <name> [--template <t>] …',
    summary: 'what an agent may see, reach and spend; new ones from a template',
    flags: ['--yes', '--hash', '--template', '--set', '--to'],
    words: Number.POSITIVE_INFINITY,
    load: async () => (await import('./group.ts')).group,
  },
  {
    name: 'harness',
    usage: 'harness list|install <name>',
    summary: 'agent loops, and the packages they need',
    flags: [],
    words: 2,
    load: async () => (await import('./harness.ts')).harness,
  },
  {
    name: 'egress',
    usage: 'egress explain|diff|log …',
    summary: 'which rule decides, what an edit changes, what was asked for',
    flags: ['--since', '--limit'],
    words: 4,
    load: async () => (await import('./egress.ts')).egress,
  },
  {
    name: 'people',
    usage: 'people list|show|add|link|unlink|role|remove …',
    summary: 'who may talk, as whom, and who decides',
    flags: ['--role', '--group', '--take'],
    words: 6,
    load: async () => (await import('./people.ts')).people,
  },
  {
    name: 'channel',
    usage: 'channel list|kinds|add|link|package|test|unreadable|remove|install <name>',
    summary: 'accounts on Telegram, Slack and others',
    flags: ['--name', '--set', '--stdin', '--to', '--no-reply', '--quiet', '--yes'],
    words: Number.POSITIVE_INFINITY,
    load: async () => (await import('./channel.ts')).channel,
  },
  {
    name: 'pair',
    usage: 'pair <channel> [--person <p>] [--role <r>] [--group <g>] | --chat --group <g>',
    summary: 'a code that makes whoever sends it a person, or gives a chat to a group',
    flags: ['--person', '--role', '--group', '--chat'],
    words: 4,
    load: async () => (await import('./pair.ts')).pair,
  },
  {
    name: 'wiring',
    usage: 'wiring list|set|remove|policy|test <chat> …',
    summary: 'which group answers in which chat, when, and whom',
    flags: ['--engage', '--context', '--senders', '--session', '--as', '--thread', '--mention'],
    words: 7,
    load: async () => (await import('./wiring.ts')).wiring,
  },
  {
    name: 'task',
    usage: 'task list|add|log|run|pause|resume|remove …',
    summary: 'what is asked at its time, once or again and again',
    flags: ['--to', '--when', '--zone', '--gate', '--catch-up', '--here'],
    words: Number.POSITIVE_INFINITY,
    load: async () => (await import('./task.ts')).task,
  },
  {
    name: 'approval',
    usage: 'approval list|show|approve|deny <id> [--body] [--group <g>] [--reason <text>]',
    summary: 'what waits until you have seen it',
    flags: ['--body', '--reason', '--group'],
    words: 3,
    load: async () => (await import('./approval.ts')).approval,
  },
  {
    name: 'inspect',
    usage: 'inspect <group> [--quick] [--canary] [--markdown]',
    summary: 'prove the boundary of a group from the inside',
    flags: ['--quick', '--canary', '--markdown'],
    words: 1,
    load: async () => (await import('./inspect.ts')).inspect,
  },
  {
    name: 'check',
    usage: 'check [--group <g>] [--only <checks>] [--yes] [--last]',
    summary: 'the four checks on the running install, with a report',
    flags: ['--group', '--only', '--yes', '--last'],
    words: 2,
    load: async () => (await import('./check.ts')).check,
  },
  {
    name: 'backup',
    usage: 'backup [create] [-o <folder>] [--keep <n>] [--with-key] | list | prove <name> | remove <name>',
    summary: 'all of it, proven by a restore that answered; what there is',
    flags: ['--keep', '--with-key', '--yes', '--out', '--rehearse'],
    words: 6,
    load: async () => (await import('./backup.ts')).backup,
  },
  {
    name: 'restore',
    usage: 'restore <name|folder> [--home <folder>] [--key <file>] [--replace]',
    summary: 'put a backup back, here or on another machine; it comes up stopped',
    flags: ['--home', '--key', '--replace', '--yes'],
    words: 3,
    load: async () => (await import('./restore.ts')).restore,
  },
  {
    name: 'doctor',
    usage: 'doctor [--fix [--yes]] | doctor --bundle [-o <file>] [--names]',
    summary: 'what is wrong on this machine, and how to mend it; a bundle for who helps',
    flags: ['--fix', '--yes', '--bundle', '--names'],
    words: 2,
    load: async () => (await import('./doctor.ts')).doctor,
  },
  {
    name: 'upgrade',
    usage: 'upgrade [<ref>] [--check] [--yes] | back [--lose-since] | log',
    summary: 'a newer version, tried on a copy first, and the way back',
    flags: ['--check', '--yes', '--lose-since'],
    words: 1,
    load: async () => (await import('./upgrade.ts')).upgrade,
  },
  {
    name: 'service',
    usage: 'service install|remove|status [--print] [--root <folder>]',
    summary: 'gateway and host as two services of systemd, under two accounts',
    flags: ['--print', '--root'],
    words: 2,
    load: async () => (await import('./service.ts')).service,
  },
  {
    name: 'uninstall',
    usage: 'uninstall [--keep-data | --purge] [--yes]',
    summary: 'end it, and remove what it made on this machine; the home stays unless it is purged',
    flags: ['--keep-data', '--purge', '--yes'],
    words: 0,
    load: async () => (await import('./uninstall.ts')).uninstall,
  },
  {
    name: 'test',
    usage: 'test [--full] [name…]',
    summary: 'every check and test of this checkout',
    flags: ['--full'],
    words: Number.POSITIVE_INFINITY,
    load: async () => (await import('./test.ts')).test,
  },
  {
    name: 'bench',
    usage: 'bench [<part>…]',
    summary: 'measure this machine against the promised numbers',
    flags: [],
    words: Number.POSITIVE_INFINITY,
    load: async () => (await import('./bench.ts')).bench,
  },
];

async function main(argv: string[]): Promise<number> {
  const json = argv.includes('--json');
  const [name, ...args] = argv.filter((word) => word !== '--json');
  const io = terminalIo(json);
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    io.out(help());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    io.out(VERSION);
    return 0;
  }
  try {
    const verb = VERBS.find((known) => known.name === name);
    if (verb === undefined) throw new OperatingError('usage', `there is no verb "${name}"`, './glass help lists them');
    if (args.includes('--help')) {
      io.out(`glass ${verb.usage}\n  ${verb.summary}`);
      return 0;
    }
    checkWords(verb, args);
    const run = await verb.load();
    const env = withService(process.env);
    const paths = pathsOf(homeFrom(env), env);
    claimRunBase(paths);
    return await run(args, paths, io);
  } catch (error) {
    if (io.json && error instanceof OperatingError)
      io.err(JSON.stringify({ error: { code: error.code, message: error.message, fix: error.fix } }));
    else io.err(`glass: ${describeError(error)}`);
    return exitCodeOf(error);
  }
}

/** Refuses what a verb would silently ignore. After `--` every word is text. */
function checkWords(verb: Verb, args: string[]): void {
  const end = args.indexOf('--');
  const before = end === -1 ? args : args.slice(0, end);
  const unknown = before.find((word) => word.startsWith('--') && !verb.flags.includes(word));
  if (unknown !== undefined)
    throw new OperatingError('usage', `${verb.name} does not know ${unknown}`, `glass ${verb.usage}`);
  const words = args.filter((word) => !verb.flags.includes(word)).length;
  if (words > verb.words) throw new OperatingError('usage', `${verb.name} takes no such words`, `glass ${verb.usage}`);
}

function help(): string {
  const width = Math.max(...VERBS.map((verb) => verb.usage.length));
  return [
    `GlassClaw ${VERSION}: a personal AI agent platform you can see through`,
    '',
    ...VERBS.map((verb) => `  glass ${verb.usage.padEnd(width)}  ${verb.summary}`),
    '',
    'Every verb takes --json. State lies in $GLASS_HOME (default ~/.glassclaw).',
  ].join('\n');
}

// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', (error) => process.exit(systemCodeOf(error) === 'EPIPE' ? 0 : 1));
process.exitCode = await main(process.argv.slice(2));
