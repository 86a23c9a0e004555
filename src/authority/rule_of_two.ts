import type { Mark } from '../protocol/gateway.ts';
import type { Authority } from './authority.ts';
import type { EgressService, Labels } from './egress.ts';

/**
 * The rule of two: a conversation that has seen what anybody may have written (A), has read what is private (B) and acts outside (C)
 * does whatever a stranger wrote with what is nobody's business. Here are the facts that make a mark, and what two of them mean
 * for the third; pure, and from what host and gateway see, never from a model's words.
 */
export type TwoPolicy = 'off' | 'warn' | 'enforce';

/** What applies where `group.yaml` says nothing. */
export const TWO_DEFAULT: TwoPolicy = 'warn';

const READS: Record<NonNullable<Labels['reads']>, Mark[]> = {
  untrusted: ['A'],
  private: ['B'],
  both: ['A', 'B'],
  none: [],
};
/** Methods that change nothing, as HTTP has it. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

function marksBy(reads: NonNullable<Labels['reads']>, acts: boolean): Mark[] {
  return acts ? [...READS[reads], 'C'] : READS[reads];
}

export function union(...sets: (readonly Mark[])[]): Mark[] {
  return [...new Set(sets.flat())].sort();
}

/**
 * What a request to a service comes to, over all services that let it through. What is reached with a credential, or in a private
 * network, is private, and others write there too; what anybody reaches is anybody's. Who can run one host of a wildcard hears each request.
 */
export function requestMarks(services: EgressService[], method: string, ws: boolean): Mark[] {
  const each = services.map(({ use, via, private: networks, wildcard, reads, acts }) => {
    const isPrivate = use !== undefined || via !== undefined || networks.length > 0;
    return marksBy(reads ?? (isPrivate ? 'both' : 'untrusted'), acts ?? (wildcard || ws || !SAFE.has(method)));
  });
  return union(...each);
}

/** What a sandbox has from its beginning on, with what gives it: folders, and servers of tools that are labelled. */
export function standingMarks({
  mounts,
  mcp = {},
}: Pick<Authority, 'mounts' | 'mcp'>): [cause: string, marks: Mark[]][] {
  return [
    ...mounts.map(({ target, access, reads, acts }): [string, Mark[]] => [
      `mount ${target}`,
      marksBy(reads ?? 'private', acts ?? access === 'write'),
    ]),
    ...Object.entries(mcp).map(([name, { reads, acts }]): [string, Mark[]] => [
      `MCP server ${name}`,
      marksBy(reads ?? 'none', acts ?? false),
    ]),
  ];
}

export interface MessageFacts {
  /** Of its sender, in the group that it is for. */
  sender: 'admin' | 'member' | 'stranger';
  members: 'trusted' | 'untrusted';
  /** Files came with it, or it passes on what others wrote. */
  foreign: boolean;
}

export function messageMarks({ sender, members, foreign }: MessageFacts): Mark[] {
  return sender === 'stranger' || (sender === 'member' && members === 'untrusted') || foreign ? ['A'] : [];
}

/** Whether these bring the third mark, or are another act of a conversation that has all three. */
export function completes(has: readonly Mark[], adds: readonly Mark[]): boolean {
  const all = union(has, adds);
  return all.length === 3 && (all.length > has.length || adds.includes('C'));
}
