import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Foreseen } from '../approvals/wishes.ts';
import { type Authority, bytesOf, hashOf, readGroup, readGroupText } from '../authority/authority.ts';
import { type Decision, decide, type EgressRequest } from '../authority/decide.ts';
import { type Change, capabilitiesOf, difference } from '../authority/difference.ts';
import type { MountPlaces } from '../authority/mounts.ts';
import { keepAuthority } from '../authority/store.ts';
import { type Wish, withWish } from '../authority/wish.ts';
import type { Clock } from '../base/clock.ts';
import { isGroupName, type RuntimeName } from '../base/config.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { writeWhole } from '../base/whole_file.ts';
import { type AuthorityRow, authorityInForce, insertAuthority } from '../ledger/authorities.ts';
import { ensureGroup, groupUid, type UidRange } from '../ledger/chats.ts';
import { recordEvent } from '../ledger/events.ts';
import type { LimitState, Runtime } from '../runtimes/runtime.ts';
import type { OnProgress } from '../runtimes/tool.ts';
import { mountPlaces, type PlacesInput } from './mount_places.ts';
import { type FilledTemplate, fillTemplate, listTemplates, PLAIN_TEMPLATE, type TemplateShown } from './templates.ts';

/**
 * Groups and their authority: what a `group.yaml` would change is shown, and exactly that is applied. Between the two the
 * object has a hash; a file that was edited meanwhile has another one and is refused.
 */
export interface Plan {
  group: string;
  /** Of the object that `apply` will put in force. */
  hash: string;
  /** Hash of what is in force; null: nothing yet. */
  in_force: string | null;
  changes: Change[];
  /** How each limit would hold on this machine. */
  controls: LimitState[];
  /** Whether its programs come from an image, which `apply` makes where it is missing. */
  image: boolean;
}

export interface GroupShown {
  group: string;
  uid: number | null;
  /** Null: nothing is in force. */
  runtime: RuntimeName | null;
  in_force: { hash: string; applied_by: string; applied_ms: number } | null;
  /** Digest or path of what its system files come from; null: the host's own. */
  image: string | null;
  capabilities: { name: string; words: string }[];
  controls: LimitState[];
  /** What the file says that is not in force, or why it is refused; null: nothing. */
  edited: string | null;
}

export type Explained = EgressRequest & Decision & { group: string };

export interface GroupsInput extends PlacesInput {
  /** Of groups' accounts, where the host is root. */
  uids: UidRange;
  clock: Clock;
  runtimes: ReadonlyMap<RuntimeName, Runtime>;
  /** What an authority's system files come from; made where it is missing. Rejects with `OperatingError`. */
  imageOf(authority: Authority, onProgress: OnProgress): Promise<string | null>;
  /** Limits of a group that are no runtime's. */
  limitsOf(): Promise<LimitState[]>;
  /** An authority has come into force. */
  applied(group: string): void;
}

export class Groups {
  readonly #input: GroupsInput;

  constructor(input: GroupsInput) {
    this.#input = input;
  }

  /** Folders below `groups/`, sorted. */
  names(): string[] {
    return groupNames(this.#input.paths);
  }

  show(group: string): GroupShown {
    const row = this.#row(this.#known(group));
    const { ledger } = this.#input;
    return {
      group,
      uid: groupUid(ledger.db, group),
      runtime: row === undefined ? null : objectOf(row).runtime,
      in_force: row === undefined ? null : shownRow(row),
      image: row?.image ?? null,
      capabilities: row === undefined ? [] : capabilitiesOf(objectOf(row)).map(({ name, words }) => ({ name, words })),
      controls: row === undefined ? [] : JSON.parse(row.controls),
      edited: this.edited(group),
    };
  }

  /** What the egress rules in force say of a request. Throws `OperatingError`: `usage` for an address, `config`. */
  explain(group: string, method: string, url: string): Explained {
    const row = this.#row(this.#known(group));
    if (row === undefined) throw new OperatingError('config', `nothing of the group ${group} is in force`);
    const request = requestOf(method, url);
    const { egress } = objectOf(row);
    return { group, ...request, ...decide(egress, request) };
  }

  /** Whether the file says something else than what is in force. */
  edited(group: string): string | null {
    try {
      const row = this.#row(group);
      if (row?.hash === hashOf(bytesOf(this.#read(group)))) return null;
      return row === undefined ? 'nothing of its file is in force yet' : 'its file has changes that are not in force';
    } catch (error) {
      return `its file is refused: ${messageOf(error)}`;
    }
  }

  /** Throws `OperatingError`: `not_found`, `config` with the reason, `unavailable` when its runtime does not work here. */
  async plan(group: string): Promise<Plan> {
    const authority = this.#read(this.#known(group));
    const row = this.#row(group);
    return {
      group,
      hash: hashOf(bytesOf(authority)),
      in_force: row?.hash ?? null,
      changes: difference(row === undefined ? null : objectOf(row), authority),
      controls: await this.#controls(authority),
      image: authority.userland === 'image',
    };
  }

  /** Makes the image of what `plan` shows, where it is missing. Minutes, with lines for a person. Rejects as `plan`. */
  async prepare(group: string, onProgress: OnProgress): Promise<string | null> {
    return this.#input.imageOf(this.#read(this.#known(group)), onProgress);
  }

  /**
   * Puts the object of that hash in force, whole or not at all. Throws `OperatingError('conflict')` when the file is no
   * longer what was shown; otherwise as `plan`.
   */
  async apply(group: string, hash: string, by: string): Promise<Plan> {
    const plan = await this.plan(group);
    const authority = this.#read(group);
    const bytes = bytesOf(authority);
    if (hashOf(bytes) !== hash || plan.hash !== hash)
      throw new OperatingError(
        'conflict',
        `groups/${group}/group.yaml is not what was shown`,
        `./glass group plan ${group}`,
      );
    const { paths, uids, ledger, clock } = this.#input;
    const image = await this.#input.imageOf(authority, () => {});
    // First the file: a row never names what the gateway cannot read.
    keepAuthority(paths.authorities, authority);
    await ledger.write('apply', (db) => {
      ensureGroup(db, clock.now(), group, process.getuid?.() === 0 ? uids : null);
      insertAuthority(db, {
        group_name: group,
        hash,
        object: bytes.toString(),
        image,
        controls: JSON.stringify(plan.controls),
        applied_by: by,
        applied_ms: clock.now(),
      });
      const changes = plan.changes.map(({ kind, words }) => `${kind} ${words}`);
      recordEvent(db, clock, 'authority.applied', {}, { group, hash, by, changes });
    });
    this.#input.applied(group);
    return plan;
  }

  /** What a group's authority would come to with a wish added. Throws `OperatingError`, with the reason in a sentence. */
  foresee(group: string, wish: Wish): Foreseen {
    const row = this.#row(group);
    if (row === undefined || this.edited(group) !== null)
      throw new OperatingError('refused', 'the operator is changing what this group may do; ask again later');
    const made = this.#newAgents(wish);
    const { authority } = this.#with(group, wish);
    const gained = difference(objectOf(row), authority).map(({ kind, words }) => `${kind} ${words}`);
    const changes = [
      ...made.map(({ name, instructions }) => `makes the agent ${name}, told: ${instructions}`),
      ...gained,
    ];
    return { hash: hashOf(bytesOf(authority)), base: row.hash, changes };
  }

  /**
   * Writes a wish into the group's file and puts exactly the authority of that hash in force, if what it was foreseen from (`base`) still
   * is. What is in force already is left as it is. Rejects with `OperatingError`: `conflict` when the file has become another one, else as
   * `plan`; then the file is as it was.
   */
  async grant(
    group: string,
    wish: Wish,
    { hash, base, by }: { hash: string; base: string; by: string },
  ): Promise<void> {
    if (this.#row(group)?.hash === hash && this.#newAgents(wish, group).length === 0) return;
    // Minutes, and it may fail: so everything is looked at again after it, in one go with the writing.
    await this.#input.imageOf(this.#still(group, wish, { hash, base }).authority, () => {});
    for (const agent of this.#newAgents(wish, group)) await this.#makeAgent(agent, by);
    const { text } = this.#still(group, wish, { hash, base });
    const yaml = realpathSync(this.#input.paths.group(group).yaml);
    const before = readFileSync(yaml);
    rewrite(yaml, Buffer.from(text));
    try {
      await this.apply(group, hash, by);
    } catch (error) {
      // What is not in force does not stay in the file, unless somebody has written there meanwhile.
      if (readFileSync(yaml, 'utf8') === text) rewrite(yaml, before);
      throw error;
    }
  }

  /** The file with the wish, if file and what is in force are those that were shown. Throws `OperatingError`. */
  #still(
    group: string,
    wish: Wish,
    { hash, base }: { hash: string; base: string },
  ): { authority: Authority; text: string } {
    const found = this.#with(this.#known(group), wish);
    const now = this.#row(group)?.hash;
    if (hashOf(bytesOf(found.authority)) === hash && (now === base || now === hash)) return found;
    throw new OperatingError('conflict', `groups/${group}/group.yaml has been changed since it was shown`);
  }

  /** Those that a wish makes; with `asker`, which has been granted it, without those that an interrupted grant has made already. Throws `OperatingError('refused')`. */
  #newAgents({ agents }: Wish, asker?: string): { name: string; instructions: string }[] {
    return agents.flatMap(({ name, instructions }) => {
      const there = this.names().includes(name);
      if (instructions === undefined) {
        if (!there) throw new OperatingError('refused', `there is no agent ${name}; a new one needs instructions`);
        return [];
      }
      if (!there) return [{ name, instructions }];
      const told = this.#told(name);
      const same = asker !== undefined && (told === null || told === `${instructions}\n`);
      if (!same) throw new OperatingError('refused', `there is an agent ${name} already`);
      return this.#row(name) === undefined ? [{ name, instructions }] : [];
    });
  }

  /** The instructions of an agent; null: a folder that an interrupted grant has made, and nothing in it. */
  #told(name: string): string | null {
    const { folder, instructions } = this.#input.paths.group(name);
    if (existsSync(instructions)) return readFileSync(instructions, 'utf8');
    return readdirSync(folder).length === 0 ? null : '';
  }

  async #makeAgent({ name, instructions }: { name: string; instructions: string }, by: string): Promise<void> {
    const { paths } = this.#input;
    mkdirSync(paths.group(name).folder, { recursive: true, mode: 0o700 });
    writeWhole(paths.group(name).instructions, Buffer.from(`${instructions}\n`), 0o644);
    makeGroup(paths, name);
    await this.apply(name, (await this.plan(name)).hash, by);
  }

  #with(group: string, wish: Wish): { authority: Authority; text: string } {
    const { paths, install } = this.#input;
    const { yaml } = paths.group(group);
    const text = withWish(readFileSync(yaml, 'utf8'), wish);
    try {
      return { authority: readGroupText(group, yaml, text, install, this.places(group)), text };
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      throw new OperatingError('refused', error.message.replace(`${yaml}: `, ''));
    }
  }

  /**
   * Makes the files of a group; nothing is in force before they are applied. Throws `OperatingError`: `usage` for a name or for what a
   * template is given, `conflict`; then nothing was written.
   */
  create(group: string, filled: FilledTemplate): void {
    const { paths, install } = this.#input;
    if (!isGroupName(group))
      throw new OperatingError('usage', 'a group’s name is 1–31 of a–z, 0–9 and "-", starting with a letter');
    const { yaml } = paths.group(group);
    if (existsSync(yaml)) throw new OperatingError('conflict', `the group ${group} exists already`);
    const text = filled.files.find(({ path }) => path === 'group.yaml')!.text;
    readGroupText(group, yaml, text, install, this.places(group));
    makeGroup(paths, group, filled);
  }

  /** The templates of this checkout. Throws `OperatingError('config')`. */
  templates(): TemplateShown[] {
    return listTemplates(this.#input.paths.root);
  }

  /** A template with its parameters, as `fillTemplate`. */
  filled(template: string, values: Record<string, string>): FilledTemplate {
    return fillTemplate(this.#input.paths.root, template, values);
  }

  /** Before the first message ever: the group that the install came with is in force as it is. */
  async applyFirst(group: string): Promise<void> {
    if (this.#row(group) !== undefined || !this.names().includes(group)) return;
    const { hash } = await this.plan(group);
    await this.apply(group, hash, 'the first start');
  }

  #read(group: string): Authority {
    const { paths, install } = this.#input;
    return readGroup(group, paths.group(group).yaml, install, this.places(group));
  }

  places(group: string): MountPlaces {
    return mountPlaces(this.#input, group, this.names());
  }

  #row(group: string): AuthorityRow | undefined {
    return authorityInForce(this.#input.ledger.db, group);
  }

  #known(group: string): string {
    if (this.names().includes(group)) return group;
    throw new OperatingError('not_found', `there is no group "${group}"`, './glass group list shows them');
  }

  async #controls(authority: Authority): Promise<LimitState[]> {
    const runtime = this.#input.runtimes.get(authority.runtime);
    const problems = runtime === undefined ? [`there is no runtime ${authority.runtime}`] : await runtime.check();
    if (runtime === undefined || problems.length > 0)
      throw new OperatingError('unavailable', `${authority.runtime} does not work here: ${problems.join('; ')}`);
    return [...(await runtime.limits()), ...(await this.#input.limitsOf())];
  }
}

export function groupNames(paths: Paths): string[] {
  return readdirSync(paths.groups, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isGroupName(entry.name))
    .map((entry) => entry.name)
    .sort();
}

/** The folders and files of a new group. What exists is never touched. */
export function makeGroup(paths: Paths, name: string, filled = fillTemplate(paths.root, PLAIN_TEMPLATE, {})): void {
  const group = paths.group(name);
  for (const folder of [group.folder, group.skills, group.workspace])
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  // The agent's uid is another one where the host runs as root; the group's folder stays closed to everybody else.
  chmodSync(group.skills, 0o755);
  for (const { path, text } of filled.files) {
    const file = join(group.folder, path);
    if (path.startsWith('skills/')) openFolder(dirname(file), group.skills);
    if (!existsSync(file)) writeFileSync(file, text, { mode: 0o600 });
    if (path !== 'group.yaml') chmodSync(file, 0o644);
  }
}

/** A folder below `top` that any account can read; so are those between. */
function openFolder(folder: string, top: string): void {
  if (folder === top) return;
  openFolder(dirname(folder), top);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
}

export function copyIfMissing(from: string, to: string): void {
  if (!existsSync(to)) copyFileSync(from, to);
}

/** Taken apart by hand: `new URL` would repair what a client sends, and what is explained is what is sent. */
function requestOf(method: string, url: string): EgressRequest {
  const found = /^https:\/\/([^/?#\s]+?)(?::(\d{1,5}))?([/?].*)?$/s.exec(url);
  if (found === null)
    throw new OperatingError(
      'usage',
      'the address must be https://host/path',
      'nothing else is ever let out with a secret',
    );
  const [, host, port = '443', target = '/'] = found;
  return { method: method.toUpperCase(), host: host!, port: Number(port), target };
}

function objectOf(row: AuthorityRow): Authority {
  return JSON.parse(row.object);
}

function shownRow({ hash, applied_by, applied_ms }: AuthorityRow) {
  return { hash, applied_by, applied_ms };
}

/** Another content for a file of the operator's, whose it stays. */
function rewrite(path: string, bytes: Buffer): void {
  const { mode, uid, gid } = statSync(path);
  writeWhole(path, bytes, mode & 0o777);
  if (process.getuid!() === 0) chownSync(path, uid, gid);
}
