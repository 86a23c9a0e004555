import { createHash } from 'node:crypto';
import type { HarnessName, InstallConfig, ModelConfig, Provider, RuntimeName } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import { parseYaml, readYaml } from '../base/yaml.ts';
import { brokenExample } from './decide.ts';
import type { EgressService } from './egress.ts';
import { expandHome, judgeMount, judgeNesting, lookAt, type Mount, type MountPlaces } from './mounts.ts';
import { canonicalPackages, type Packages } from './packages.ts';
import { type GroupFile, groupSchema } from './schema.ts';

/**
 * The authority of a group: everything it may see, reach and spend, with nothing left open. It is made from `group.yaml`
 * when the operator plans, and is in force when its hash was applied.
 */
export interface Authority {
  /** Of this shape; an authority of another one must be applied again. */
  version: 2;
  group: string;
  harness: 'auto' | HarnessName;
  model: ModelConfig;
  runtime: RuntimeName;
  oci_runtime: string | null;
  userland: 'host' | 'image';
  packages: Packages;
  mounts: Mount[];
  egress: Record<string, EgressService>;
  secrets: string[];
  tools: string[];
  budget: GroupFile['budget'];
  /** `memory`, `tmp`, `shm`, `workspace` in bytes, `disk_write` in bytes a second; `turn`, `idle` in milliseconds. */
  limits: GroupFile['limits'];
  /** Servers of tools by their names. */
  mcp?: GroupFile['mcp'];
  /** Groups whose agents it may write to. */
  agents?: GroupFile['agents'];
  rule_of_two?: GroupFile['rule_of_two'];
  members?: GroupFile['members'];
}

export const AUTHORITY_VERSION = 2;

const PROVIDER_DEFAULTS: Record<Provider, { upstream: string; secret: string | null }> = {
  anthropic: { upstream: 'https://api.anthropic.com', secret: 'anthropic' },
  openai: { upstream: 'https://api.openai.com/v1', secret: 'openai' },
  ollama: { upstream: 'http://127.0.0.1:11434', secret: null },
};

/** What a `group.yaml` asks for on this machine. Throws `OperatingError('config')` with file, place and reason. */
export function readGroup(group: string, file: string, install: Machine, places: MountPlaces): Authority {
  return authorityOf(group, file, readYaml(file, groupSchema), install, places);
}

/** As `readGroup`, of a text that is not in the file yet. */
export function readGroupText(
  group: string,
  file: string,
  text: string,
  install: Machine,
  places: MountPlaces,
): Authority {
  return authorityOf(group, file, parseYaml(text, file, groupSchema), install, places);
}

type Machine = Pick<InstallConfig, 'runtime' | 'onecli'>;

function authorityOf(group: string, file: string, raw: GroupFile, install: Machine, places: MountPlaces): Authority {
  const refuse = (what: string): never => {
    throw new OperatingError('config', `${file}: ${what}`);
  };
  const runtime = raw.runtime ?? install.runtime;
  const userland = userlandOf(raw, runtime);
  if (runtime !== 'bubblewrap' && userland === 'host') refuse(`userland: ${runtime} always runs an image`);
  if (userland === 'host' && !noPackages(raw))
    refuse('packages: the host’s programs are as they are; set userland: image');
  if (runtime === 'bubblewrap' && raw.oci_runtime !== undefined) refuse('oci_runtime: bubblewrap has none');
  for (const [name, service] of Object.entries(raw.egress)) {
    if (service.use !== undefined && !raw.secrets.includes(service.use))
      refuse(`egress.${name}.use: the secret ${service.use} is not in secrets`);
    if (service.via !== undefined && install.onecli === undefined)
      refuse(`egress.${name}.via: glass.yaml has no onecli`);
  }
  if (raw.agents[group] !== undefined) refuse(`agents: ${group} does not write to itself`);
  const example = brokenExample(raw.egress);
  if (example !== null) refuse(example);
  return {
    version: AUTHORITY_VERSION,
    group,
    harness: raw.harness,
    model: modelOf(raw),
    runtime,
    oci_runtime: raw.oci_runtime ?? null,
    userland,
    packages: canonicalPackages(raw.packages),
    mounts: mountsOf(raw, places, refuse),
    egress: raw.egress,
    secrets: sorted(raw.secrets),
    tools: sorted(raw.tools),
    // Absent when there is none: what was applied before there could be any keeps its hash.
    ...(Object.keys(raw.mcp).length > 0 && { mcp: raw.mcp }),
    ...(Object.keys(raw.agents).length > 0 && { agents: raw.agents }),
    ...(raw.rule_of_two !== undefined && { rule_of_two: raw.rule_of_two }),
    ...(raw.members !== undefined && { members: raw.members }),
    budget: raw.budget,
    limits: raw.limits,
  };
}

/** What decides the harness, of a file that need not be in force. Throws `OperatingError('config')`. */
export function readWish(file: string): Pick<Authority, 'harness' | 'model'> {
  const raw = readYaml(file, groupSchema);
  return { harness: raw.harness, model: modelOf(raw) };
}

/** Whether bubblewrap is to start the group from a root that is made for it. Throws `OperatingError('config')`. */
export function wantsRoot(file: string, install: Machine): boolean {
  const raw = readYaml(file, groupSchema);
  const runtime = raw.runtime ?? install.runtime;
  return runtime === 'bubblewrap' && userlandOf(raw, runtime) === 'image';
}

/** SHA-256 (hex) of its canonical bytes: what is shown, approved, applied and passed on is the same object. */
export function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** JSON with sorted keys, so that the same authority has the same bytes. */
export function bytesOf(authority: Authority): Buffer {
  return Buffer.from(JSON.stringify(authority, (_key, value) => (isRecord(value) ? sortedRecord(value) : value)));
}

function userlandOf(raw: GroupFile, runtime: RuntimeName): Authority['userland'] {
  return raw.userland ?? (runtime === 'bubblewrap' && noPackages(raw) ? 'host' : 'image');
}

function noPackages({ packages }: GroupFile): boolean {
  return packages.apt.length + packages.npm.length + packages.pip.length === 0;
}

function modelOf({ model }: GroupFile): ModelConfig {
  const defaults = PROVIDER_DEFAULTS[model.provider];
  const secret = model.secret ?? defaults.secret;
  return {
    provider: model.provider,
    name: model.name,
    ...(model.effort === undefined ? {} : { effort: model.effort }),
    upstream: (model.upstream ?? defaults.upstream).replace(/\/+$/, ''),
    secret: secret === 'none' ? null : secret,
  };
}

function mountsOf(raw: GroupFile, places: MountPlaces, refuse: (what: string) => never): Mount[] {
  const mounts = raw.mounts.map((mount, at): Mount => {
    const facts = lookAt(expandHome(mount.source));
    const reason = judgeMount(facts, mount.access, places);
    if (reason !== null) refuse(`mounts.${at}: ${mount.source} ${reason}`);
    const { target = defaultTarget(facts.real), access, reads, acts } = mount;
    return { source: facts.real, target, access, ...(reads && { reads }), ...(acts !== undefined && { acts }) };
  });
  const twice = mounts.find((mount, at) => mounts.findIndex(({ target }) => target === mount.target) !== at);
  if (twice !== undefined) refuse(`mounts: two of them are at ${twice.target}`);
  const nested = judgeNesting(mounts, places.others);
  if (nested !== null) refuse(`mounts: ${nested}`);
  return mounts;
}

function defaultTarget(source: string): string {
  const name = source
    .split('/')
    .at(-1)!
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[._-]+/, '');
  return `/mnt/${name === '' ? 'folder' : name.slice(0, 100)}`;
}

function sorted(names: string[]): string[] {
  return [...new Set(names)].sort();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sortedRecord(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
