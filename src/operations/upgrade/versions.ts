/** Which version an upgrade leads to, and whether it may: pure. */

export interface Version {
  numbers: readonly [major: number, minor: number, patch: number];
  /** Of `1.2.0-rc.1` `['rc', '1']`; empty for a finished version. */
  before: readonly string[];
}

/** Of a tag or of package.json: `v1.2.3`, `1.2.3-rc.1`; null: it is none. */
export function parseVersion(text: string): Version | null {
  const match = /^v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]+))?$/.exec(text);
  if (match === null) return null;
  const [, major, minor, patch, before] = match;
  return {
    numbers: [Number(major), Number(minor), Number(patch)],
    before: before === undefined ? [] : before.split('.'),
  };
}

/** As semver orders them: `1.2.0-rc.2` comes before `1.2.0-rc.10`, and that before `1.2.0`. Negative: `a` is older. */
export function compareVersions(a: Version, b: Version): number {
  for (const at of [0, 1, 2] as const) if (a.numbers[at] !== b.numbers[at]) return a.numbers[at] - b.numbers[at];
  if (a.before.length === 0 || b.before.length === 0) return b.before.length - a.before.length;
  for (let at = 0; at < Math.max(a.before.length, b.before.length); at += 1) {
    const order = compareParts(a.before[at], b.before[at]);
    if (order !== 0) return order;
  }
  return 0;
}

function compareParts(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return -1;
  if (b === undefined) return 1;
  const [x, y] = [a, b].map((part) => (/^\d+$/.test(part) ? Number(part) : null)) as [number | null, number | null];
  if (x !== null && y !== null) return x - y;
  // A number comes before a word.
  if (x !== null || y !== null) return x !== null ? -1 : 1;
  return a < b ? -1 : 1;
}

/** The newest finished version among tags; null: there is none. A candidate is taken only by its name. */
export function newestTag(tags: readonly string[]): string | null {
  const found = tags.flatMap((tag) => {
    const version = tag.startsWith('v') ? parseVersion(tag) : null;
    return version === null || version.before.length > 0 ? [] : [{ tag, version }];
  });
  return found.sort((a, b) => compareVersions(b.version, a.version))[0]?.tag ?? null;
}

export interface Choice {
  ref: string;
  kind: 'asked' | 'tag' | 'branch';
}

/** What is asked for, else the newest version tag, else the head of the branch that this one follows; null: there is nothing. */
export function chooseRef(asked: string | null, tags: readonly string[], upstream: string | null): Choice | null {
  if (asked !== null) return { ref: asked, kind: 'asked' };
  const tag = newestTag(tags);
  if (tag !== null) return { ref: tag, kind: 'tag' };
  return upstream === null ? null : { ref: upstream, kind: 'branch' };
}

/** How the wanted commit stands to the one that is there. `aside`: neither is part of the other's history. */
export type Relation = 'same' | 'newer' | 'older' | 'aside';

export interface Judged {
  relation: Relation;
  here: string;
  there: string;
  kind: Choice['kind'];
  /** Commits here that are at no branch or tag of the origin. */
  own: number;
}

export type Verdict = { do: 'nothing' } | { do: 'upgrade' } | { do: 'refuse'; says: string; fix: string };

/** `here` and `there` are the versions of package.json. */
export function judge({ relation, here, there, kind, own }: Judged): Verdict {
  switch (relation) {
    case 'same':
      return { do: 'nothing' };
    case 'newer':
      return { do: 'upgrade' };
    case 'older':
      // The newest version is part of what runs here: of a branch that goes on after it.
      if (kind !== 'asked') return { do: 'nothing' };
      return {
        do: 'refuse',
        says: 'that version is older than the one that runs',
        fix: './glass upgrade back goes to the one before',
      };
    case 'aside':
      return judgeAside(here, there, own);
  }
}

function judgeAside(here: string, there: string, own: number): Verdict {
  if (own > 0)
    return {
      do: 'refuse',
      says: `this checkout has ${own} ${own === 1 ? 'commit' : 'commits'} of its own, which that version does not have`,
      fix: 'put them on a branch at the origin, or check that version out by hand',
    };
  const [a, b] = [parseVersion(here), parseVersion(there)];
  if (a !== null && b !== null && compareVersions(a, b) < 0) return { do: 'upgrade' };
  return {
    do: 'refuse',
    says: `that version (${there}) is of another line than this one (${here}), and not newer`,
    fix: 'name a newer one: ./glass upgrade <ref>',
  };
}
