import { accessSync, chownSync, constants, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, OperatingError } from '../base/errors.ts';
import { randomToken } from '../base/ids.ts';
import { holdLock } from '../base/lock.ts';
import type { Paths } from '../base/paths.ts';
import { writeWhole } from '../base/whole_file.ts';
import { documentOf, seconds } from '../evidence/check/document.ts';
import { checkLock } from '../evidence/check/names.ts';
import { newestReport, reportsFolder } from '../evidence/check/newest.ts';
import { htmlOf, markdownOf } from '../evidence/check/render.ts';
import { CHECKS, type CheckName, type CheckReport, type CheckResult, stateOf } from '../evidence/check/report.ts';
import type { Status } from '../evidence/status.ts';
import type { GroupShown } from '../operations/groups.ts';
import { type Found, privilege, traceability } from './check/experiments.ts';
import { factsOf, warningsOf } from './check/facts.ts';
import { type Loopback, modelServer } from './check/loopback.ts';
import { letGo, type Supervisor, supervisorOf } from './check/processes.ts';
import { recovery } from './check/recovery.ts';
import { Scene } from './check/scene.ts';
import { CHANNEL_SECRET_NAMES, visibility } from './check/visibility.ts';
import { confirmed } from './confirm.ts';
import { ControlClient } from './control_client.ts';
import { bold, type Io, printable, red } from './io.ts';
import { secretNames, secretRemove } from './secret.ts';
import { split } from './words.ts';

/**
 * `glass check`: four experiments on the running install, with a throw-away group and channel of its own, and a report of what was
 * seen. Exit code 0: every promise held; 1: one did not. What it makes is removed at its end, or by the next check, or the next start.
 */
const USAGE = `glass check [--group <g>] [--only ${CHECKS.join(',')}] [--yes] | --last`;

interface Asked {
  group: string | undefined;
  only: readonly CheckName[];
  yes: boolean;
}

export async function check(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, values, flags } = split(args, ['group', 'only'], ['yes', 'last'], USAGE);
  if (words.length > 0) throw new OperatingError('usage', USAGE);
  if (flags.has('last')) return showLast(paths, io);
  const asked = { group: values['group'], only: chosen(values['only']), yes: flags.has('yes') };
  await holdLock(checkLock(paths.install), 'a check is running already', 'wait for its end');
  const supervisor = supervisorOf(paths);
  if (supervisor !== null) letGo(supervisor);
  const client = new ControlClient(paths.controlSocket);
  try {
    const { groups } = await client.call<{ groups: GroupShown[] }>('groups');
    const before = await client.call<Status>('status');
    const inspected = groupsOf(groups, asked.group);
    makeFolder(paths);
    if (!(await mayDisturb(asked, before, io))) return 1;
    const report = await run(asked, { paths, io, supervisor, before, groups: inspected });
    return tell(report, write(report, paths), io);
  } finally {
    client.close();
  }
}

function chosen(only: string | undefined): readonly CheckName[] {
  const names = only === undefined ? CHECKS : only.split(',');
  const picked = CHECKS.filter((name) => names.includes(name));
  if (picked.length !== names.length) throw new OperatingError('usage', `--only takes ${CHECKS.join(', ')}`, USAGE);
  return picked;
}

function groupsOf(groups: GroupShown[], only: string | undefined): GroupShown[] {
  const picked = only === undefined ? groups : groups.filter(({ group }) => group === only);
  if (picked.length === 0)
    throw new OperatingError('not_found', `there is no group "${only}"`, './glass group list shows them');
  return picked;
}

/** Before anything is broken: a report that cannot be kept is worth nothing. */
function makeFolder(paths: Paths): void {
  try {
    mkdirSync(reportsFolder(paths.home), { recursive: true, mode: 0o700 });
    own(reportsFolder(paths.home), paths);
    accessSync(reportsFolder(paths.home), constants.W_OK);
  } catch (error) {
    throw new OperatingError('storage', `reports cannot be kept in ${paths.home}: ${messageOf(error)}`, 'use sudo');
  }
}

/** Root writes for the account that owns the home: its host shows the newest result. */
function own(path: string, { home }: Paths): void {
  const { uid, gid } = statSync(home);
  if (process.geteuid!() === 0) chownSync(path, uid, gid);
}

const DISTURBS: Partial<Record<CheckName, string>> = {
  recovery:
    'recovery: sandbox, gateway and host are killed, one by one, and start again. Turns of people that run begin again; messages wait for some seconds.',
  visibility:
    'visibility: a model and a channel of its own are broken and mended, a workspace is filled, and the gateway is away for 15 to 90 seconds: meanwhile no sandbox starts and no agent reaches a model or a service. Idle sandboxes end, and start with their next message. Four alerts are raised and cleared; whoever gets alerts gets them.',
};

/** Resolves with false when somebody says no. Rejects with `conflict` while a turn of somebody runs, unless `--yes`. */
async function mayDisturb({ only, yes }: Asked, before: Status, io: Io): Promise<boolean> {
  if (before.safe || before.stopped.length > 0)
    throw new OperatingError(
      'conflict',
      'something is stopped now, and a check would not find its way',
      './glass status says what',
    );
  const what = only.map((name) => DISTURBS[name]).filter((text) => text !== undefined);
  if (what.length === 0) return true;
  for (const text of ['On this running install, under the names check-throwaway and check-channel:', ...what])
    if (!io.json) io.err(text);
  if (yes) return true;
  const running = before.conservation.inbound['running'] ?? 0;
  if (running > 0)
    throw new OperatingError(
      'conflict',
      `agents are at work on ${running} ${running === 1 ? 'message' : 'messages'} now`,
      'try later, or add --yes: their turns begin again',
    );
  return confirmed('Go on?', '--yes');
}

interface Ground {
  paths: Paths;
  io: Io;
  supervisor: Supervisor | null;
  before: Status;
  groups: GroupShown[];
}

async function run(asked: Asked, { paths, io, supervisor, before, groups }: Ground): Promise<CheckReport> {
  const at = new Date().toISOString();
  const began = performance.now();
  const scene = new Scene(
    paths,
    io,
    randomToken(6)
      .toLowerCase()
      .replace(/[^a-z0-9]/g, '0'),
  );
  const model = modelServer();
  const end = (): void => scene.end();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  const checks: CheckResult[] = [];
  const left: string[] = [];
  try {
    await clear(scene);
    await model.open();
    await scene.begin();
    await scene.client.call('check_group', { port: model.port });
    for (const name of asked.only) {
      scene.tell(bold(io, name));
      const since = performance.now();
      const found = await experiment(name, scene, { supervisor, model, groups });
      checks.push({ check: name, ms: performance.now() - since, ...found });
    }
  } finally {
    await model.close();
    await scene
      .until('what was made is removed', () => clear(scene).then(() => true), CLEAR_MS)
      .catch((error) => {
        left.push(`${messageOf(error)}; the next check, or the next start, removes it`);
      });
    scene.end();
  }
  const facts = factsOf(paths, before, supervisor);
  const authorities = groups.map(({ group, in_force }) => ({ group, hash: in_force?.hash ?? null }));
  const warnings = [...warningsOf(before, groups, asked.only), ...left];
  return { state: stateOf(checks), at, ms: performance.now() - began, facts, authorities, checks, warnings };
}

/** The host may be coming back. */
const CLEAR_MS = 30_000;

function experiment(
  name: CheckName,
  scene: Scene,
  { supervisor, model, groups }: { supervisor: Supervisor | null; model: Loopback; groups: GroupShown[] },
): Promise<Found> {
  switch (name) {
    case 'traceability':
      return traceability(scene);
    case 'privilege':
      return privilege(
        scene,
        groups.filter(({ in_force }) => in_force !== null).map(({ group }) => group),
      );
    case 'recovery':
      return recovery(scene, supervisor);
    case 'visibility':
      return visibility(scene, supervisor, model);
  }
}

/** Also what an earlier check has left. Rejects when host or gateway are not there. */
async function clear(scene: Scene): Promise<void> {
  const quiet: Io = { out: () => {}, err: () => {}, json: false, colour: false };
  await scene.client.call('check_clear');
  const known = await secretNames(scene.paths);
  for (const name of CHANNEL_SECRET_NAMES) if (known.has(name)) await secretRemove([name], scene.paths, quiet);
}

/** Returns the path of the report, without the endings. */
function write(report: CheckReport, paths: Paths): string {
  const stamp = `${report.at.slice(0, 19).replaceAll(':', '-')}Z`;
  const path = join(reportsFolder(paths.home), `check-${stamp}`);
  const blocks = documentOf(report);
  const texts = { md: markdownOf(blocks), html: htmlOf(blocks), json: `${JSON.stringify(report)}\n` };
  for (const [ending, text] of Object.entries(texts)) {
    writeWhole(`${path}.${ending}`, Buffer.from(text), 0o600);
    own(`${path}.${ending}`, paths);
  }
  return path;
}

function tell(report: CheckReport, path: string, io: Io): number {
  const good = report.state === 'passed';
  const failed = report.checks.flatMap(({ claims }) => claims).filter(({ state }) => state === 'failed');
  if (io.json) io.out(JSON.stringify({ ...report, report: path }));
  else {
    for (const { what, seen } of failed) io.out(red(io, printable(`✗ ${what}: ${seen}`)));
    for (const warning of report.warnings) io.out(`! ${printable(warning)}`);
    io.out(good ? bold(io, `passed in ${seconds(report.ms)}`) : red(io, `failed, after ${seconds(report.ms)}`));
    io.out(`the report: ${path}.md, .html, .json`);
  }
  return good ? 0 : 1;
}

function showLast(paths: Paths, io: Io): number {
  const last = newestReport(paths.home);
  if (last === null)
    throw new OperatingError('not_found', `there is no report in ${reportsFolder(paths.home)}`, 'glass check');
  io.out(io.json ? JSON.stringify(last) : `${last.state} at ${last.at}: ${last.path}.md, .html, .json`);
  return last.state === 'passed' ? 0 : 1;
}
