import type { Authority } from '../authority/authority.ts';
import type { EgressService } from '../authority/egress.ts';
import { standingMarks, TWO_DEFAULT, type TwoPolicy, union } from '../authority/rule_of_two.ts';
import { keptAuthority } from '../authority/store.ts';
import type { Provider } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { Mark } from '../protocol/gateway.ts';
import { isMetadata } from './addresses.ts';

/** What a session may reach, read from its group's applied authority when the session opens and unchanged until it closes. */
export interface SessionPolicy {
  /** Of the authority that it was read from. */
  readonly hash: string;
  readonly budget: Authority['budget'];
  readonly model: ModelPolicy;
  /** By name; nothing else is ever let out of a tunnel. */
  readonly egress: Record<string, EgressService>;
  readonly two: TwoPolicy;
  /** What its sandbox has from its beginning on. */
  readonly standing: readonly Mark[];
}

/** The endpoint behind `/model/default`. */
export interface ModelPolicy {
  readonly provider: Provider;
  /** As the authority names it: what a reply that names no model is priced as. */
  readonly name: string;
  /** `https://api.anthropic.com` */
  readonly origin: string;
  readonly host: string;
  /** Path of the upstream without a slash at its end; stands before each allowed path. */
  readonly prefix: string;
  /** Name of the secret to inject; null: none. */
  readonly secret: string | null;
}

/**
 * Reads the authority that the host names by its hash. Throws `OperatingError`: `conflict` when it is another group's,
 * `config` when it is missing, was changed, or its upstream is refused.
 */
export function readPolicy(paths: Paths, group: string, hash: string): SessionPolicy {
  const authority = keptAuthority(paths.authorities, hash);
  if (authority.group !== group)
    throw new OperatingError('conflict', `the authority ${hash.slice(0, 12)} is not one of the group ${group}`);
  const url = new URL(authority.model.upstream);
  if (isMetadata(url.hostname))
    throw new OperatingError('config', `group ${group}: model.upstream: a metadata service is never reachable`);
  const model = {
    provider: authority.model.provider,
    name: authority.model.name,
    origin: url.origin,
    host: url.host,
    prefix: url.pathname.replace(/\/+$/, ''),
    secret: authority.model.secret,
  };
  const standing = union(...standingMarks(authority).map(([, marks]) => marks));
  const two = authority.rule_of_two ?? TWO_DEFAULT;
  return { hash, budget: authority.budget, model, egress: authority.egress, two, standing };
}
