import { hostname } from 'node:os';
import { showId } from '../base/ids.ts';
import { ALERT_BODY_BYTES_MAX, ALERT_FLAPS_MAX, ALERTS_TOLD_MAX } from '../base/limits/alerts.ts';
import { MINUTE_MS } from '../base/limits/units.ts';
import { redact } from '../base/log.ts';
import { cutBytes, visible } from '../base/text.ts';
import type { TellWhat } from '../ledger/alert_tells.ts';
import type { AlertRow } from '../ledger/alerts.ts';
import { ruleOf } from './alert_rules.ts';

/** What people and programs are told of an alert, and whether they are. Pure. */

/** `raises`: times that it began within the hour, this one too; `told`: alerts of its kind that people were told of within it. Null: nothing. */
export function whatToTell(untold: 1 | 2, raises: number, told: number): TellWhat | null {
  if (untold === 2) return raises > ALERT_FLAPS_MAX ? null : 'cleared';
  if (raises > ALERT_FLAPS_MAX) return raises === ALERT_FLAPS_MAX + 1 ? 'flapping' : null;
  if (told >= ALERTS_TOLD_MAX) return told === ALERTS_TOLD_MAX ? 'many' : null;
  return 'raised';
}

/** For a chat. */
export function alertWords(alert: AlertRow, what: TellWhat): string {
  const text = harmless(alert.text);
  const { act } = ruleOf(alert.kind);
  switch (what) {
    case 'cleared':
      return `✓ Over after ${lasted(alert)}: ${text}`;
    case 'flapping':
      return `⚠ ${text}\nIt comes and goes: ${ALERT_FLAPS_MAX + 1} times within an hour. Until it does so less often nobody is told of it: ./glass alert list`;
    case 'many':
      return `⚠ ${text}\nMore than ${ALERTS_TOLD_MAX} of this kind within an hour: the others are not told one by one: ./glass alert list`;
    case 'raised': {
      const over = alert.cleared_ms === null ? '' : ` It is over, after ${lasted(alert)}.`;
      // Many a sentence says what to do.
      return `⚠ ${text}${over}${over !== '' || text.includes('./glass ') ? '' : `\n→ ${act}`}`;
    }
    case 'test':
      return text;
  }
}

/** For the operator's command and webhook: one JSON object. `text` alone is a whole message for people. */
export function alertBody(alert: AlertRow, what: TellWhat): string {
  const { severity, act } = ruleOf(alert.kind);
  const { kind, count, created_ms } = alert;
  const state = what === 'test' ? 'test' : alert.cleared_ms === null ? 'raised' : 'cleared';
  const subject = harmless(alert.subject);
  const at = new Date(created_ms).toISOString();
  const text = cutBytes(alertWords(alert, what), ALERT_BODY_BYTES_MAX / 4);
  return JSON.stringify({
    ...{ text, state, told: what, id: showId('a', alert.id), kind, subject, severity, act, count, at },
    host: hostname(),
  });
}

/** Reasons are other people's words: nothing in them can hide, and what looks like a credential is masked. */
function harmless(text: string): string {
  return redact(visible(text));
}

function lasted({ created_ms, cleared_ms }: AlertRow): string {
  const seconds = Math.max(0, Math.round(((cleared_ms ?? created_ms) - created_ms) / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round((seconds * 1000) / MINUTE_MS)} min`;
}
