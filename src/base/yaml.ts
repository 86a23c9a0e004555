import { readFileSync } from 'node:fs';
import { parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { OperatingError, systemCodeOf } from './errors.ts';

/**
 * Reads a YAML file of the operator strictly: no anchors, aliases, tags or duplicate keys, no unknown keys, YAML 1.2
 * (`no` is a string). Throws `OperatingError('config')` with file, line and reason.
 */
export function readYaml<T>(file: string, schema: z.ZodType<T>): T {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new OperatingError('config', `${file} cannot be read (${systemCodeOf(error)})`, undefined, error);
  }
  return parseYaml(text, file, schema);
}

export function parseYaml<T>(text: string, file: string, schema: z.ZodType<T>): T {
  const document = parseDocument(text, { version: '1.2', uniqueKeys: true, strict: true, merge: false });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    throw new OperatingError('config', `${file}:${problem.linePos?.[0].line ?? 1}: ${firstLine(problem.message)}`);
  }
  visit(document, {
    Alias: () => refuse(file, 'aliases (*name) are not allowed'),
    Node: (_key, node) => {
      if (node.anchor) refuse(file, `anchors (&${node.anchor}) are not allowed`);
      if (node.tag !== undefined) refuse(file, `tags (${node.tag}) are not allowed`);
    },
  });
  const parsed = schema.safeParse(document.toJS() ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const where = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  throw new OperatingError('config', `${file}: ${where}${issue.message}`);
}

function refuse(file: string, reason: string): never {
  throw new OperatingError('config', `${file}: ${reason}`);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!.replace(/:$/, '');
}
