import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { messageOf } from '../base/errors.ts';
import { BUNDLE_LOG_BYTES_MAX } from '../base/limits/telemetry.ts';
import type { Paths } from '../base/paths.ts';
import type { Status } from '../evidence/status.ts';
import { type Mask, masked, maskedOnly, maskOf } from './bundle_masks.ts';
import type { TarEntry } from './tar.ts';

/**
 * A diagnostics bundle: what somebody who helps needs to know of an install, and nothing that was said in it. No text of a message, no
 * value of a secret, and no name of a person, unless the operator wants those in it. It is made by the client, so that it is made
 * also when the host does not run.
 */
export interface BundleFacts {
  at_ms: number;
  /** What could be had of the host; null: it does not answer, and `missing` says why. */
  host: { status: Status; events: object[]; names: string[] } | null;
  missing: string | null;
  versions: object;
  findings: readonly object[];
  /** Whether names of people may stand in it. */
  names: boolean;
  env: NodeJS.ProcessEnv;
}

/** The files of the bundle; the first says what the others are. Reads the home; throws nothing. */
export function bundleOf(paths: Paths, facts: BundleFacts): TarEntry[] {
  const mask = maskOf(placesOf(paths), facts.names ? null : (facts.host?.names ?? []), facts.env);
  const json = (name: string, about: string, value: unknown) => ({
    name,
    about,
    text: `${JSON.stringify(value, null, 2)}\n`,
  });
  const { host } = facts;
  const files = [
    json('versions.json', 'what runs here', masked(facts.versions, mask)),
    json('doctor.json', 'what ./glass doctor finds', masked(facts.findings, mask)),
    ...(host === null
      ? []
      : [
          json(
            'status.json',
            'what ./glass status --json says, without texts of alerts',
            masked(host.status, mask, TEXTS),
          ),
          { ...json('events.ndjson', 'the newest steps', null), text: linesOf(host.events, mask) },
        ]),
    json(
      'config.json',
      'glass.yaml and each group.yaml: values that are numbers, choices or names of secrets',
      configs(paths, mask),
    ),
    json('sizes.json', 'bytes of files and databases, and the ledger’s schema', sizesOf(paths)),
    json(
      'environment.json',
      'names of variables that GlassClaw reads',
      Object.keys(facts.env)
        .filter((n) => /^(GLASS|NODE|XDG|DOCKER|CONTAINER)_/.test(n))
        .sort(),
    ),
    ...logsOf(paths, mask),
  ];
  const missing =
    facts.missing === null
      ? []
      : [
          '',
          `Missing, because the host does not answer (${mask(facts.missing)}): status.json, events.ndjson, names to mask in logs.`,
        ];
  const about = [
    `Diagnostics of a GlassClaw install, made ${new Date(facts.at_ms).toISOString()}.`,
    'Look before you send it: it should hold no text of a message, no value of a secret' +
      (facts.names ? '.' : ', no name of a person.'),
    '',
    ...files.map(({ name, about }) => `${name.padEnd(20)} ${about}`),
    ...missing,
  ];
  return [{ name: 'README.txt', text: `${about.join('\n')}\n` }, ...files.map(({ name, text }) => ({ name, text }))];
}

/** Longer ones first, so that a home below another folder keeps its own word. */
function placesOf({ home, run, root, gatewayHome, gatewayRun }: Paths): [string, string][] {
  const places: [string, string][] = [
    [run, '$RUN'],
    [gatewayRun, '$GATEWAY_RUN'],
    [gatewayHome === home ? home : gatewayHome, gatewayHome === home ? '$GLASS_HOME' : '$GATEWAY_HOME'],
    [home, '$GLASS_HOME'],
    [root, '$CHECKOUT'],
  ];
  try {
    const { homedir } = userInfo();
    if (homedir.length > 1) places.push([homedir, '~']);
  } catch {
    // An account without a name has no home that could give one away.
  }
  return places.sort(([a], [b]) => b.length - a.length);
}

/** Of alerts, channels, asks and sessions: words that may be a platform's or an agent's. */
const TEXTS = new Set(['text', 'detail', 'marks']);

/** Of events only what says what kind of step it was; most data names chats and people. */
const EVENT_STRINGS = new Set([
  ...([
    'at',
    'kind',
    'message',
    'session',
    'turn',
    'outbound',
    'outcome',
    'next',
    'runtime',
    'harness',
    'version',
  ] as const),
  ...(['class', 'state', 'depth', 'group', 'channel', 'unit', 'failed', 'rule', 'approval', 'ask', 'task'] as const),
]);

function linesOf(rows: readonly object[], mask: Mask): string {
  return rows.map((row) => `${JSON.stringify(maskedOnly(row, mask, EVENT_STRINGS))}\n`).join('');
}

/** Choices, names and sizes; a key that is not here may hold anything that somebody typed. */
const CONFIG_STRINGS = new Set([
  ...([
    'runtime',
    'default_group',
    'image',
    'timezone',
    'kind',
    'key',
    'listen',
    'prometheus',
    'keep',
    'room',
  ] as const),
  ...([
    'harness',
    'provider',
    'userland',
    'oci_runtime',
    'secret',
    'secrets',
    'use',
    'apt',
    'npm',
    'pip',
    'tools',
  ] as const),
  ...(['access', 'memory', 'tmp', 'shm', 'workspace', 'disk_write', 'turn', 'idle', 'via', 'credential'] as const),
]);

function configs(paths: Paths, mask: Mask): Record<string, unknown> {
  const groups = namesIn(paths.groups).map((name): [string, string] => [
    `groups/${name}/group.yaml`,
    paths.group(name).yaml,
  ]);
  const shown = [['glass.yaml', paths.config] as const, ...groups].map(([name, file]): [string, unknown] => {
    if (!existsSync(file)) return [name, 'missing'];
    try {
      return [name, maskedOnly(parse(readFileSync(file, 'utf8')), mask, CONFIG_STRINGS)];
    } catch {
      // The reason would quote the file.
      return [name, 'cannot be read as YAML'];
    }
  });
  return Object.fromEntries(shown);
}

function sizesOf(paths: Paths): object {
  const bytes = Object.fromEntries(
    namesIn(paths.home).flatMap((name) => {
      const stat = statSync(join(paths.home, name), { throwIfNoEntry: false });
      return stat?.isFile() ? [[name, stat.size]] : [];
    }),
  );
  return {
    bytes,
    files: namesIn(paths.blobs).length,
    sessions: namesIn(paths.sessions).length,
    schema: schemaOf(paths.ledger),
  };
}

/** `user_version` as it stands in the head of the file; what is still in the write-ahead log is not seen. */
function schemaOf(file: string): number | null {
  const head = tailOrHead(file, 100, 'head');
  return head.length < 64 ? null : head.readUInt32BE(60);
}

function logsOf(paths: Paths, mask: Mask) {
  const files = [
    ['host.log', join(paths.logs, 'host.log')],
    ['gateway.log', join(paths.gatewayLogs, 'gateway.log')],
    ['up.log', join(paths.logs, 'up.log')],
  ] as const;
  return files
    .filter(([, file]) => existsSync(file))
    .map(([name, file]) => ({
      name,
      about: 'its last lines',
      text: cleanLog(tailOrHead(file, BUNDLE_LOG_BYTES_MAX, 'tail').toString('utf8'), mask),
    }));
}

/** Fields in which a process quotes somebody, or names one. */
const LOG_TEXTS = new Set(['text', 'line', 'title', 'sender', 'body']);

/** What is no line of ours (a stack, a half of the first line) is masked as a whole. */
function cleanLog(text: string, mask: Mask): string {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines
    .map((line) => {
      try {
        return `${JSON.stringify(masked(JSON.parse(line), mask, LOG_TEXTS))}\n`;
      } catch {
        return /^\s*at |^[A-Za-z ]*Error/.test(line) ? `${mask(line)}\n` : `[left out: ${line.length} characters]\n`;
      }
    })
    .join('');
}

function tailOrHead(file: string, bytes: number, which: 'tail' | 'head'): Buffer {
  try {
    const fd = openSync(file, 'r');
    try {
      const size = fstatSync(fd).size;
      const length = Math.min(bytes, size);
      const part = Buffer.alloc(length);
      readSync(fd, part, 0, length, which === 'head' ? 0 : size - length);
      return part;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return Buffer.from(which === 'head' ? '' : `cannot be read: ${messageOf(error)}`);
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
