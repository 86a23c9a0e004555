import { showSize } from '../base/text.ts';
import type { Authority } from './authority.ts';
import type { EgressService, Labels } from './egress.ts';
import { TWO_DEFAULT, type TwoPolicy } from './rule_of_two.ts';
import type { McpServer } from './schema.ts';

/**
 * An authority in words, and what one gives that another did not. Pure. A capability has a name (what it is about) and
 * words; of some there is one (a limit), of others any number (a mount).
 */
export interface Capability {
  /** `limit memory`, `mount`, `egress github`: those with the same name belong together. */
  name: string;
  words: string;
  /** Whether there is at most one of this name, so that another one replaces it. */
  single: boolean;
}

export interface Change {
  /** Of the capability. */
  name: string;
  kind: 'gains' | 'loses' | 'changes';
  words: string;
}

export function capabilitiesOf(authority: Authority): Capability[] {
  const { model, limits } = authority;
  const one = (name: string, words: string): Capability => ({ name, words, single: true });
  const many = (name: string, words: string): Capability => ({ name, words, single: false });
  return [
    one(
      'harness',
      authority.harness === 'auto' ? 'auto: claude with its credential, else the stand-in probe' : authority.harness,
    ),
    one(
      'model',
      `${model.provider} ${model.name}${model.effort === undefined ? '' : ` with ${model.effort} effort`} at ${model.upstream}, ${model.secret === null ? 'without a secret' : `with the secret ${model.secret}`}`,
    ),
    one(
      'runtime',
      authority.oci_runtime === null ? authority.runtime : `${authority.runtime} with ${authority.oci_runtime}`,
    ),
    one('userland', authority.userland === 'host' ? 'the host’s own /usr, read-only' : 'an image'),
    ...(Object.entries(authority.packages) as [string, string[]][]).flatMap(([kind, names]) =>
      names.map((name) => many('package', `${kind} package ${name}`)),
    ),
    ...authority.mounts.map((mount) =>
      many('mount', [`${mount.access} ${mount.source} at ${mount.target}`, ...labelWords(mount)].join(', ')),
    ),
    ...Object.entries(authority.egress).flatMap(([name, service]) =>
      egressWords(service).map((words) => many(`egress ${name}`, `egress ${words}`)),
    ),
    ...authority.secrets.map((name) => many('secret', `secret ${name}, for egress`)),
    ...authority.tools.map((name) => many('tool', `tool ${name}`)),
    ...Object.entries(authority.agents ?? {}).map(([name, how]) =>
      one(`agent ${name}`, `messages to the agent ${name}${how === 'approve' ? ', each after approval' : ''}`),
    ),
    ...Object.entries(authority.mcp ?? {}).map(([name, server]) => many(`mcp ${name}`, mcpWords(name, server))),
    one('rule of two', TWO_WORDS[authority.rule_of_two ?? TWO_DEFAULT]),
    one('members', `what they write is ${authority.members ?? 'trusted'}`),
    ...Object.entries(authority.budget).map(([name, amount]) =>
      one(`budget ${name}`, `at most ${amount} ${name.replaceAll('_', ' ')}`),
    ),
    ...limitWords(limits).map(([name, words]) => one(name, words)),
  ];
}

/** As it is started, each part as JSON: what it does with blanks and quotes is seen. */
function mcpWords(name: string, server: McpServer): string {
  const { command, env } = server;
  const set = Object.entries(env).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const words = `MCP server ${name}: ${[...set, ...command.map((part) => JSON.stringify(part))].join(' ')}`;
  return [words, ...labelWords(server)].join(', ');
}

const TWO_WORDS: Record<TwoPolicy, string> = {
  off: 'nothing is said or held',
  warn: 'the operator is told when a conversation has all three',
  enforce: 'the third, and each act after it, waits for a person',
};

function labelWords({ reads, acts }: Labels): string[] {
  const use = acts === true ? ['each use is an act'] : ['no use is an act'];
  return [...(reads === undefined ? [] : [`reads ${reads}`]), ...(acts === undefined ? [] : use)];
}

function limitWords(limits: Authority['limits']): [string, string][] {
  return [
    ['memory', showSize(limits.memory)],
    ['processes', String(limits.pids)],
    ['processors', String(limits.cpus)],
    ['/tmp', showSize(limits.tmp)],
    ['/dev/shm', showSize(limits.shm)],
    ['workspace', showSize(limits.workspace)],
    ['open files', String(limits.files)],
    ['disk writes', `${showSize(limits.disk_write)} a second`],
    ['longest turn', `${limits.turn / 1000} s`],
    ['idle until its end', `${limits.idle / 1000} s`],
  ];
}

/** Each rule with what decides how it is let through. */
function egressWords(service: EgressService): string[] {
  const place = service.port === 443 ? service.host : `${service.host}:${service.port}`;
  const conditions = [
    service.use === undefined ? '' : `with the secret ${service.use}`,
    service.via === undefined ? '' : 'via OneCLI with a credential that it has',
    service.query === undefined ? '' : `query only ${service.query.join(' ') || 'empty'}`,
    service.deny_json.length === 0 ? '' : `never with ${service.deny_json.join(' ')}`,
    service.rate === undefined ? '' : `at most ${service.rate}`,
    service.private.length === 0 ? '' : `private addresses ${service.private.join(' ')}`,
    service.ws ? 'WebSocket too' : '',
    ...labelWords(service),
  ].filter((part) => part !== '');
  const words = (rule: string, ...more: string[]): string => {
    const [method, path] = rule.split(' ') as [string, string];
    return [`${method === '*' ? 'any method' : method} ${place}${path}`, ...more, ...conditions].join(', ');
  };
  return [
    ...service.allow.map((rule) => words(rule)),
    ...service.approve.map((rule) => words(rule, 'after approval')),
    ...service.deny.map((rule) => `never ${rule.replace(' ', ` ${place}`)}`),
  ];
}

/** What `next` changes of what is in force; `before` null: everything is new. Empty: the same. */
export function difference(before: Authority | null, next: Authority): Change[] {
  const [old, wanted] = [before === null ? [] : capabilitiesOf(before), capabilitiesOf(next)];
  const has = (list: Capability[], one: Capability): boolean =>
    list.some((other) => other.name === one.name && other.words === one.words);
  const gained = wanted.filter((one) => !has(old, one));
  const lost = old.filter((one) => !has(wanted, one));
  const partner = (one: Capability): Capability | undefined =>
    one.single ? lost.find((other) => other.name === one.name) : undefined;
  return [
    ...gained.map((one): Change => {
      const was = partner(one);
      if (was !== undefined)
        return { name: one.name, kind: 'changes', words: `${one.name}: ${was.words} → ${one.words}` };
      return { name: one.name, kind: 'gains', words: one.single ? `${one.name}: ${one.words}` : one.words };
    }),
    ...lost
      .filter((one) => !(one.single && wanted.some((other) => other.name === one.name)))
      .map(
        (one): Change => ({
          name: one.name,
          kind: 'loses',
          words: one.single ? `${one.name}: ${one.words}` : one.words,
        }),
      ),
  ];
}
