import { z } from 'zod';
import { OperatingError } from '../../base/errors.ts';
import { parseId, showId } from '../../base/ids.ts';
import { ALERTS_SHOWN_MAX } from '../../base/limits/alerts.ts';
import { ruleOf } from '../../evidence/alert_rules.ts';
import { tellsOf } from '../../ledger/alert_tells.ts';
import { type AlertRow, alertById, recentAlerts } from '../../ledger/alerts.ts';
import type { Db } from '../../ledger/db.ts';
import { NOTHING, type Operation, value } from './operation.ts';

const one = z.strictObject({ alert: z.string().max(20) });
const upgraded = z.strictObject({
  kind: z.enum(['upgrade.returned', 'upgrade.channel']),
  subject: z.string().min(1).max(60),
  text: z.string().min(1).max(2000),
});
/** `failed`: the reason; null: the backup is proven. */
const told = z.strictObject({ failed: z.string().max(1000).nullable() });

/** An alert as the operator sees it. `told`: by how many ways it was said, and what did not arrive. */
export interface AlertShown {
  id: string;
  kind: string;
  subject: string;
  severity: string;
  text: string;
  act: string;
  count: number;
  state: 'open' | 'seen' | 'over';
  created_ms: number;
  cleared_ms: number | null;
  told: { ways: number; failed: string[] };
}

/** What people are told of. */
export const ALERTS: readonly Operation[] = [
  {
    name: 'alerts',
    summary: 'the newest alerts, those that stand first',
    input: NOTHING,
    handle: async ({ ledger }) =>
      value({ alerts: recentAlerts(ledger.db, ALERTS_SHOWN_MAX).map((alert) => shown(ledger.db, alert)) }),
  },
  {
    name: 'alert_ack',
    summary: 'the operator has seen an alert',
    input: one,
    handle: async ({ alerts, ledger }, { alert }: z.infer<typeof one>) => {
      const id = parseId('a', alert) ?? 0;
      const row = alertById(ledger.db, id);
      if (row === undefined)
        throw new OperatingError('not_found', `there is no alert "${alert}"`, './glass alert list shows them');
      await alerts.ack(id);
      return value(shown(ledger.db, alertById(ledger.db, id)!));
    },
  },
  {
    name: 'clear_alerts',
    summary: 'the operator has seen the alerts',
    input: NOTHING,
    handle: async ({ alerts }) => value({ cleared: await alerts.ack(null) }),
  },
  {
    name: 'backup_told',
    summary: 'how the last backup came out: an alert, or the end of it',
    input: told,
    handle: async ({ alerts }, { failed }: z.infer<typeof told>) => {
      if (failed === null) alerts.clear('backup.failed', 'backup');
      else alerts.alert('backup.failed', 'backup', `There is no new backup that counts: ${failed}`);
      return value({ told: true });
    },
  },
  {
    name: 'alert_test',
    summary: 'one alert by every way; a stream of what arrived',
    input: NOTHING,
    handle: async ({ testAlerts }) => ({ kind: 'stream', run: testAlerts }),
  },
  {
    name: 'upgrade_alert',
    summary: 'what an upgrade has to tell',
    input: upgraded,
    handle: async ({ alerts }, { kind, subject, text }: z.infer<typeof upgraded>) => {
      if (kind === 'upgrade.returned') alerts.alert('upgrade.returned', subject, text);
      else alerts.alert('upgrade.channel', subject, text);
      return value({ told: true });
    },
  },
];

function shown(db: Db, alert: AlertRow): AlertShown {
  const { kind, subject, text, count, created_ms, cleared_ms, acked_ms } = alert;
  const { severity, act } = ruleOf(kind);
  const tells = tellsOf(db, alert.id);
  const failed = tells
    .filter(({ state }) => state === 'failed')
    .map(({ way, channel, error }) => `${channel || way}: ${error}`);
  return {
    ...{ id: showId('a', alert.id), kind, subject, severity, text, act, count, created_ms, cleared_ms },
    state: cleared_ms !== null ? 'over' : acked_ms !== null ? 'seen' : 'open',
    told: { ways: tells.length, failed },
  };
}
