import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Provider, readGroup } from '../base/config.ts';
import { OperatingError, systemCodeOf } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { isMetadata } from './addresses.ts';

/** What a session may reach, read from its group's file when the session opens and unchanged until it closes. */
export interface ModelPolicy {
  readonly provider: Provider;
  /** `https://api.anthropic.com` */
  readonly origin: string;
  readonly host: string;
  /** Path of the upstream without a slash at its end; stands before each allowed path. */
  readonly prefix: string;
  /** Name of the secret to inject; null: none. */
  readonly secret: string | null;
}

/**
 * Reads `groups/<name>/group.yaml`. Throws `OperatingError`: `conflict` when its bytes are not those that the host
 * has read (SHA-256, hex), `config` when the file or its upstream is refused.
 */
export function readPolicy(paths: Paths, group: string, sha256: string): ModelPolicy {
  const file = paths.group(group).yaml;
  const differs = (): never => {
    throw new OperatingError('conflict', `${file} is not the file that the host has read: read it again`);
  };
  if (hashOf(file) !== sha256) differs();
  const { model } = readGroup(group, file);
  // Read twice, hashed on both sides: what was parsed is what was hashed.
  if (hashOf(file) !== sha256) differs();
  const url = new URL(model.upstream);
  if (isMetadata(url.hostname))
    throw new OperatingError('config', `${file}: model.upstream: a metadata service is never reachable`);
  return {
    provider: model.provider,
    origin: url.origin,
    host: url.host,
    prefix: url.pathname.replace(/\/+$/, ''),
    secret: model.secret,
  };
}

function hashOf(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch (error) {
    throw new OperatingError('config', `${file} cannot be read (${systemCodeOf(error)})`, undefined, error);
  }
}
