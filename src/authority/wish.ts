import { isDeepStrictEqual } from 'node:util';
import { isMap, isSeq, parseDocument } from 'yaml';
import { z } from 'zod';
import { isGroupName, nameSchema } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import { WISH_CARD_CHARS_MAX, WISH_REASON_CHARS_MAX, WISH_RULES_MAX, WISH_THINGS_MAX } from '../base/limits/talk.ts';
import { ruleSchema } from './egress.ts';
import { PACKAGE_NAMES, type Packages } from './packages.ts';
import { mcpServerSchema, mountSchema } from './schema.ts';

/**
 * What an agent may ask to be added to its own `group.yaml`: always more, never another value of what is there, and nothing that the
 * schema of a group would not take. What it would come to is judged by `readGroup` as if the operator had written it.
 */
const list = <T extends z.ZodType>(of: T) =>
  z.array(of).max(WISH_THINGS_MAX).refine(areDistinct, 'names one thing twice').default([]);

/** Of what has a name, and of names. */
function areDistinct(things: unknown[]): boolean {
  const names = things.map((thing) =>
    typeof thing === 'string' ? thing : ((thing as { name?: string }).name ?? thing),
  );
  return new Set(names).size === things.length;
}

function packageNames(kind: keyof Packages) {
  const { pattern, example } = PACKAGE_NAMES[kind];
  return list(z.string().regex(pattern, `must be the name of a package: ${example}`));
}

const rules = z.array(ruleSchema).max(WISH_RULES_MAX).default([]);

export const wishSchema = z
  .strictObject({
    /** For the person who decides. */
    reason: z.string().trim().min(1).max(WISH_REASON_CHARS_MAX),
    apt: packageNames('apt'),
    npm: packageNames('npm'),
    pip: packageNames('pip'),
    mounts: list(mountSchema),
    secrets: list(nameSchema),
    /** A new service, or more rules of one that is there with the same host. */
    egress: list(
      z.strictObject({
        name: nameSchema,
        host: z.string().max(253),
        use: nameSchema.optional(),
        allow: rules,
        approve: rules,
      }),
    ),
    mcp: list(mcpServerSchema.extend({ name: nameSchema })),
    /** Agents that it may write to. With `instructions`: a new one, which they make. */
    agents: list(
      z.strictObject({
        name: nameSchema.refine(isGroupName, 'must be the name of a group'),
        how: z.enum(['allow', 'approve']).default('approve'),
        instructions: z.string().trim().min(1).max(WISH_CARD_CHARS_MAX).optional(),
      }),
    ),
  })
  .refine(
    ({ reason: _, ...things }) => Object.values(things).some(({ length }) => length > 0),
    'asks for nothing: name packages, mounts, secrets, egress, mcp or agents',
  );
export type Wish = z.infer<typeof wishSchema>;

/** Whether a wish lets more in or out of the sandbox than programs: then an admin of the group alone cannot grant it. */
export function reachesOut(wish: Wish): boolean {
  return wish.mounts.length + wish.secrets.length + wish.egress.length + wish.agents.length > 0;
}

/** The text of a `group.yaml` with the wish added, comments and order kept; added again, it is the same. Throws `OperatingError('refused')`. */
export function withWish(text: string, wish: Wish): string {
  const document = parseDocument(text, { version: '1.2', uniqueKeys: true, strict: true, merge: false });
  if (document.errors.length > 0) refuse('its group.yaml is not readable');
  // An empty file is an empty map.
  if (document.contents === null) document.contents = parseDocument('{}').contents;
  const root: unknown = document.contents;
  if (!isMap(root)) return refuse('its group.yaml is not a map');
  for (const kind of ['apt', 'npm', 'pip'] as const) append(['packages', kind], wish[kind]);
  append(['mounts'], wish.mounts);
  append(['secrets'], wish.secrets);
  for (const { name, host, use, allow, approve } of wish.egress) {
    const known = document.getIn(['egress', name, 'host']);
    if (known === undefined) document.setIn(['egress', name], document.createNode({ host, ...(use && { use }) }));
    else if (known !== host || document.getIn(['egress', name, 'use']) !== use)
      refuse(`the service ${name} is there with another host or secret`);
    append(['egress', name, 'allow'], allow);
    append(['egress', name, 'approve'], approve);
  }
  for (const { name, ...server } of wish.mcp) {
    const known: unknown = document.hasIn(['mcp', name]) ? document.toJS().mcp[name] : undefined;
    if (known === undefined) document.setIn(['mcp', name], document.createNode(server));
    else if (!isDeepStrictEqual(mcpServerSchema.safeParse(known).data, server))
      refuse(`there is another MCP server ${name}`);
  }
  for (const { name, how } of wish.agents) document.setIn(['agents', name], how);
  return document.toString();

  /** What is there already is not written twice. */
  function append(path: string[], things: unknown[]): void {
    const found = document.getIn(path, true);
    const there = isSeq(found) ? (found.toJSON() as unknown[]) : [];
    const fresh = things.filter((thing) => !there.some((one) => JSON.stringify(one) === JSON.stringify(thing)));
    if (fresh.length === 0) return;
    if (!isSeq(found)) document.setIn(path, document.createNode(fresh));
    else for (const thing of fresh) found.add(document.createNode(thing));
  }
}

function refuse(reason: string): never {
  throw new OperatingError('refused', reason);
}
