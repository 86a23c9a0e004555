import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isScalar, parseDocument, visit } from 'yaml';
import { isGroupName } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import { readYaml } from '../base/yaml.ts';
import { parseSchedule } from '../scheduler/times.ts';
import { fits, type Template, templateSchema } from './template_schema.ts';

/**
 * Templates: the files of a group that is ready to run, in `templates/<name>/` of the checkout, and what the operator does next. Filling one
 * in writes nothing and puts nothing in force. A parameter is data wherever it stands: one scalar of YAML, one word of shell.
 */
export interface FilledTemplate {
  template: string;
  /** Path below the group's folder, and text. */
  files: { path: string; text: string }[];
  /** What the operator does next, once the group is there under this name; `to`: `channel:chat`, null: not known yet. */
  steps(group: string, to: string | null): Step[];
}

export interface Step {
  about: string;
  /** To be pasted into a shell; null: there is none. */
  command: string | null;
}

export interface TemplateShown {
  template: string;
  summary: string;
  parameters: { name: string; about: string; example: string; default: string | null }[];
  needs: string[];
  chat: string | null;
}

export const PLAIN_TEMPLATE = 'assistant';

/** Every template of a checkout, sorted. Throws `OperatingError('config')` for one that is broken. */
export function listTemplates(root: string): TemplateShown[] {
  return templateNames(root).map((template) => {
    const { summary, parameters, needs, chat } = readTemplate(root, template);
    const shown = Object.entries(parameters).map(([name, one]) => {
      return { name, about: one.about, example: one.example, default: one.default ?? null };
    });
    return { template, summary, parameters: shown, needs, chat: chat?.about ?? null };
  });
}

/** Throws `OperatingError`: `not_found` for the template, `usage` for a parameter, each with what there is. */
export function fillTemplate(root: string, name: string, given: Record<string, string>): FilledTemplate {
  const names = templateNames(root);
  if (!names.includes(name))
    throw new OperatingError('not_found', `there is no template "${name}"`, `there are: ${names.join(', ')}`);
  const template = readTemplate(root, name);
  const values = valuesOf(name, template, given);
  const tasks = template.tasks.map((task) => filledTask(task, values));
  for (const { when, zone } of tasks) parseSchedule(when, zone ?? 'UTC', Date.now());
  const folder = join(root, 'templates', name);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'template.yaml')
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
    .map((path) => ({ path, text: filledFile(path, readFileSync(join(folder, path), 'utf8'), values) }));
  return {
    template: name,
    files,
    steps: (group, to) => stepsOf({ ...template, tasks }, group, to, (text) => filledText(text, values)),
  };
}

function templateNames(root: string): string[] {
  return readdirSync(join(root, 'templates'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isGroupName(entry.name))
    .map((entry) => entry.name)
    .sort();
}

function readTemplate(root: string, name: string): Template {
  return readYaml(join(root, 'templates', name, 'template.yaml'), templateSchema);
}

function valuesOf(name: string, { parameters }: Template, given: Record<string, string>): Map<string, string> {
  const all = Object.entries(parameters);
  const list = all.map(([key, one]) => `--set ${key}=${one.example} (${one.about})`).join(', ') || 'it has none';
  const usage = (what: string): never => {
    throw new OperatingError('usage', `the template ${name} ${what}`, `its parameters: ${list}`);
  };
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(parameters, key));
  if (unknown !== undefined) usage(`has no parameter "${unknown.slice(0, 60)}"`);
  return new Map(
    all.map(([key, one]) => {
      const value = Object.hasOwn(given, key) ? given[key]! : one.default;
      if (value === undefined) return usage(`needs --set ${key}=…`);
      if (!fits(one.pattern, value)) return usage(`does not take "${value.slice(0, 60)}" as ${key}`);
      return [key, value];
    }),
  );
}

const PLACE = /\{\{([a-z][a-z0-9-]*)\}\}/g;

/** In one pass, so that a value is never read for places again. */
function filledText(text: string, values: ReadonlyMap<string, string>, write = (value: string) => value): string {
  return text.replace(PLACE, (place, name) => {
    const value = values.get(name);
    if (value === undefined) throw new OperatingError('config', `${place} in a template is no parameter of it`);
    return write(value);
  });
}

/** Programs are never filled in: they are given parameters as words. */
function filledFile(path: string, text: string, values: ReadonlyMap<string, string>): string {
  if (path.endsWith('.yaml')) return filledYaml(text, values);
  return path.endsWith('.md') ? filledText(text, values) : text;
}

/** Each scalar with a place in it becomes one double-quoted scalar: no value can end it. Everything else stays, comments too. */
export function filledYaml(text: string, values: ReadonlyMap<string, string>): string {
  const found: { from: number; to: number; value: string }[] = [];
  visit(parseDocument(text), {
    Scalar: (_key, node) => {
      if (!isScalar(node) || typeof node.value !== 'string' || node.value.search(PLACE) === -1) return;
      const [from, to] = node.range!;
      found.push({ from, to, value: filledText(node.value, values) });
    },
  });
  return found
    .sort((a, b) => b.from - a.from)
    .reduce((all, { from, to, value }) => all.slice(0, from) + JSON.stringify(value) + all.slice(to), text);
}

function filledTask(task: Template['tasks'][number], values: ReadonlyMap<string, string>): Template['tasks'][number] {
  const { when, zone, text, gate, catch_up } = task;
  return {
    when: filledText(when, values),
    ...(zone === undefined ? {} : { zone: filledText(zone, values) }),
    text: filledText(text, values).trim(),
    ...(gate === undefined ? {} : { gate: filledText(gate, values, shellWord) }),
    catch_up,
  };
}

function stepsOf(template: Template, group: string, to: string | null, fill: (text: string) => string): Step[] {
  const chat = to ?? '<channel:chat>';
  const step = (about: string, ...words: string[]): Step => {
    return { about, command: words.length === 0 ? null : ['./glass', ...words].map(shellWord).join(' ') };
  };
  const secrets = template.secrets.map(({ name, about, kind, user, hosts }) => {
    const more = [...(user === undefined ? [] : ['--user', user]), ...hosts.flatMap((host) => ['--host', host])];
    return step(fill(about), 'secret', 'set', name, '--kind', kind, ...more);
  });
  const tasks = template.tasks.map(({ when, zone, text, gate, catch_up }) => {
    const more = Object.entries({ zone, gate, 'catch-up': catch_up === 'once' ? undefined : catch_up });
    const given = more.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
    return step('have it asked at its time', 'task', 'add', group, '--to', chat, '--when', when, ...given, '--', text);
  });
  const { chat: place } = template;
  const where = place && `${fill(place.about)}${to === null ? `, such as ${place.example}` : ''}`;
  return [
    ...secrets,
    step('see what it may do, and put that in force', 'group', 'apply', group),
    ...(place === undefined ? [] : [step(where!, 'wiring', 'set', chat, group, '--engage', place.engage)]),
    ...tasks,
    ...template.notes.map((note) => step(fill(note))),
  ];
}

/** A word as a POSIX shell reads it back, whatever is in it. */
export function shellWord(word: string): string {
  return /^[A-Za-z0-9_/:.,@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
