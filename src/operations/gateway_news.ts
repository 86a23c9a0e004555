import type { Approvals } from '../approvals/approvals.ts';
import { parseId } from '../base/ids.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { hasMarks } from '../ledger/marks.ts';
import { isStopped } from '../ledger/stops.ts';
import type { EgressHandlers } from '../sessions/egress.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Anchors } from './anchors.ts';
import type { Channels } from './channels.ts';

interface NewsParts {
  sessions(): Sessions;
  approvals(): Approvals;
  drivers(): Channels;
  warm(): void;
  gatewayLost(): void;
  gatewayBack(): void;
}

/** What is done about the gateway's news. The parts are asked for when there is some: they are made after the link to it. */
export function gatewayNews(
  ledger: Ledger,
  anchors: Anchors,
  alert: EgressHandlers['alert'],
  parts: NewsParts,
): EgressHandlers {
  return {
    alert,
    secrets: () => {
      parts.sessions().secretsChanged();
      parts.warm();
      parts.drivers().secretsChanged();
    },
    connected: () => {
      anchors.connected();
      parts.gatewayBack();
    },
    anchor: (head) => anchors.heard(head),
    stopped: (group) => isStopped(ledger.db, group),
    refused: (session, reason) => parts.sessions().end(session, `no egress: ${reason}`),
    held: (event) => parts.approvals().held(event),
    mark: (event) => parts.approvals().mark(event),
    marks: (session) => hasMarks(ledger.db, parseId('s', session) ?? 0),
    heldEnded: (hold, reason) => parts.approvals().ended(hold, reason),
    lost: () => {
      parts.approvals().lost();
      parts.gatewayLost();
    },
  };
}
