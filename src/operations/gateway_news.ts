import type { Approvals } from '../approvals/approvals.ts';
import type { Clock } from '../base/clock.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { EgressHandlers } from '../sessions/egress.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Channels } from './channels.ts';

/** What is done about the gateway's news. The parts are asked for when there is some: they are made after the link to it. */
export function gatewayNews(
  { ledger, clock }: { ledger: Ledger; clock: Clock },
  alert: EgressHandlers['alert'],
  parts: { sessions(): Sessions; approvals(): Approvals; drivers(): Channels; warm(): void; gatewayLost(): void },
): EgressHandlers {
  return {
    alert,
    secrets: () => {
      parts.sessions().renew('the set of secrets changed');
      parts.warm();
    },
    secretSet: () => parts.drivers().secretsChanged(),
    anchor: (head) => {
      // A disk that refuses it has alerts of its own; the next one vouches for this one's part too.
      ledger.write('anchor', (db) => recordEvent(db, clock, 'egress.anchored', {}, head)).catch(() => {});
    },
    refused: (session, reason) => parts.sessions().end(session, `no egress: ${reason}`),
    held: (event) => parts.approvals().held(event),
    heldEnded: (hold, reason) => parts.approvals().ended(hold, reason),
    lost: () => {
      parts.approvals().lost();
      parts.gatewayLost();
    },
  };
}
