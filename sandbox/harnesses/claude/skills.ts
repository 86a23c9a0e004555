import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The group's skills, as a list in the system prompt: the agent reads the file of one when it needs it. */
const SKILLS_MAX = 50;
const DESCRIPTION_CHARS = 300;

/** Empty when there are none. */
export function skillsPrompt(folder: string): string {
  const skills = names(folder)
    .slice(0, SKILLS_MAX)
    .flatMap((name) => describe(join(folder, name, 'SKILL.md')) ?? []);
  return skills.length === 0
    ? ''
    : `Skills: read the file of one before you do what it describes.\n${skills.join('\n')}`;
}

function describe(file: string): string | null {
  try {
    const head = /^---\n([\s\S]*?)\n---/.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
    const description = /^description:\s*(.*)$/m.exec(head)?.[1] ?? '';
    return `- ${file}: ${description.slice(0, DESCRIPTION_CHARS)}`;
  } catch {
    return null;
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
