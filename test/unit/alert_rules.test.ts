import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { ALERT_RULES, alertTable, ruleOf } from '../../src/evidence/alert_rules.ts';

/** The table of failures holds exactly the kinds that the source raises, and the manual prints it. */

const SOURCES = globSync('src/**/*.ts', { cwd: ROOT, exclude: ['**/node_modules/**'] }).map(
  (path) => [path, readFileSync(join(ROOT, path), 'utf8')] as const,
);
const ALL = SOURCES.map(([, text]) => text).join('\n');

/** A call that raises one, and its kind: a word in quotes, or a constant. */
const CALL =
  /(?<!function )(?:\.|\b)(?:alert|raiseAlert|clear|clearAlert|#lost)\(\s*(?:db,\s*(?:world\.)?clock,\s*)?('[^']+'|[A-Z][A-Z_]*)\s*,/g;
const LEVEL = /\blevel\(\s*'([^']+)'/g;
const CONSTANT = (name: string): RegExp => new RegExp(`const ${name} = '([^']+)'`);

function kindsRaised(text: string): string[] {
  const calls = [...text.matchAll(CALL)].map(([, word]) => {
    if (word!.startsWith("'")) return word!.slice(1, -1);
    const found = CONSTANT(word!).exec(text) ?? CONSTANT(word!).exec(ALL);
    assert.ok(found, `nobody knows what ${word} is`);
    return found[1]!;
  });
  return [...calls, ...[...text.matchAll(LEVEL)].map(([, kind]) => kind!)];
}

test('no kind is raised that is not in the table, and none is in it that nobody raises', () => {
  // The gateway says its own kind for budgets, and channels clear two at once.
  const raised = new Set(SOURCES.flatMap(([, text]) => kindsRaised(text)));
  assert.deepEqual([...raised].sort(), Object.keys(ALERT_RULES).sort());
});

test('every call that raises an alert names its kind where it can be read', () => {
  // Those that hand on what somebody else has named.
  const handed = /\b(?:alert|raiseAlert)\((?:[^'"A-Z()]*\b)?kind\b(?!:)/g;
  const found = SOURCES.flatMap(([path, text]) => [...text.matchAll(handed)].map(([words]) => `${path}: ${words}`));
  assert.deepEqual(found.sort(), [
    'src/evidence/alerts.ts: raiseAlert(db, clock, kind',
    'src/evidence/alerts.ts: raiseAlert(db, clock, kind',
    'src/operations/watch.ts: alert(kind',
    'src/sessions/egress.ts: alert(event.kind',
  ]);
});

test('a kind that is not read is found', () => {
  assert.deepEqual(kindsRaised("const MINE = 'a.b';\nthis.#parts.alert(MINE, x, y); alert('c.d', x, y);"), [
    'a.b',
    'c.d',
  ]);
  assert.throws(() => kindsRaised('alert(NOBODY_KNOWS, x, y)'), /nobody knows/);
});

test('the manual prints the table', () => {
  const manual = readFileSync(join(ROOT, 'docs/OPERATIONS.md'), 'utf8');
  assert.ok(manual.includes(alertTable()), `docs/OPERATIONS.md must have:\n\n${alertTable()}\n`);
});

test('each rule says what it means, what to do, and when it is over', () => {
  for (const [kind, { means, act, clears, severity }] of Object.entries(ALERT_RULES)) {
    assert.ok(means.length > 10 && act.length > 10 && clears.length > 5, kind);
    assert.ok(severity === 'urgent' || severity === 'warning', kind);
    assert.ok(!`${means}${act}${clears}`.includes('|'), `${kind} fits into a table`);
  }
  assert.equal(ruleOf('nobody.knows').severity, 'urgent', 'what has no rule is told all the same');
});
