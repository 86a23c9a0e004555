// The gate of a task: prints pull requests that have stalled and were not named yet. Exit code 0: there are some; 1: none; 2: it could not look.
//
//   node stalled.mjs <owner/repository> <days>
//   node stalled.mjs named <number>@<time of its last change>…
//
// What was named is noted by the agent once it has named them, not here: a run that fails in between names them again.
import { readFileSync, writeFileSync } from 'node:fs';

const NOTES = '/workspace/stalled-prs.json';
const DAY_MS = 86_400_000;
/** Beyond that the oldest ones are the news. */
const PULLS_MAX = 100;

function noted() {
  try {
    return JSON.parse(readFileSync(NOTES, 'utf8'));
  } catch {
    return {};
  }
}

function note(words) {
  const pairs = words.map((word) => word.split('@'));
  writeFileSync(NOTES, `${JSON.stringify({ ...noted(), ...Object.fromEntries(pairs) }, null, 1)}\n`);
}

async function oldest(repository) {
  const query = `state=open&sort=updated&direction=asc&per_page=${PULLS_MAX}`;
  const response = await fetch(`https://api.github.com/repos/${repository}/pulls?${query}`, {
    headers: { accept: 'application/vnd.github+json' },
  });
  if (!response.ok) throw new Error(`GitHub answered ${response.status}: ${(await response.text()).slice(0, 200)}`);
  return response.json();
}

async function look(repository, days) {
  const before = noted();
  const stalled = (await oldest(repository)).filter(
    ({ number, draft, updated_at }) =>
      !draft && Date.now() - Date.parse(updated_at) > days * DAY_MS && before[number] !== updated_at,
  );
  if (stalled.length === 0) process.exit(1);
  for (const { number, title, user, updated_at, html_url } of stalled)
    console.log(`#${number} ${JSON.stringify(title)} by ${user?.login}, unchanged since ${updated_at}: ${html_url}`);
  const words = stalled.map(({ number, updated_at }) => `${number}@${updated_at}`);
  console.log(`\nOnce you have named them: node /group/skills/stalled-prs/stalled.mjs named ${words.join(' ')}`);
}

const [first, ...more] = process.argv.slice(2);
try {
  if (first === 'named') note(more);
  else await look(first, Number(more[0]));
} catch (error) {
  console.error(`${error.message}${error.cause === undefined ? '' : ` (${error.cause.message})`}`);
  process.exit(2);
}
