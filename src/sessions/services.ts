import type { Authority } from '../authority/authority.ts';
import type { Clock } from '../base/clock.ts';
import type { HarnessName } from '../base/config.ts';
import type { Faults } from '../base/faults.ts';
import type { Log } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import type { Takes } from '../channels/dialects/outgoing.ts';
import type { Db } from '../ledger/db.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { OutboundRow } from '../ledger/outbound.ts';
import type { SessionRow } from '../ledger/sessions.ts';
import type { LimitState, Runtime, SandboxSpec } from '../runtimes/runtime.ts';
import type { Egress, EgressSession } from './egress.ts';
import type { ToolServices } from './tool_call.ts';
import type { WorkspaceKeeper } from './workspaces.ts';

/** What is decided anew for each start of a sandbox. */
export interface StartPlan {
  authority: Authority;
  harness: HarnessName;
  runtime: Runtime;
  /** How each limit holds on this machine now. */
  controls: LimitState[];
  spec: SandboxSpec;
  egress: EgressSession;
}

/** Where the messages of a turn were said. */
export interface TurnPlace {
  chat_id: number;
  thread: string;
}

/** What a session needs of the rest of the host. */
export interface SessionServices {
  ledger: Ledger;
  clock: Clock;
  log: Log;
  faults: Faults;
  paths: Paths;
  egress: Egress;
  tools: ToolServices;
  workspaces: WorkspaceKeeper;
  /** Reads the group's authority and makes the spec. Rejects with `OperatingError`. */
  plan(session: SessionRow): Promise<StartPlan>;
  /** Begins a start when one more sandbox may; an idle one may be ended for it. Settles as `act` does: when it is ready, or gone. */
  start(act: () => Promise<void>): Promise<void>;
  /** The session has nothing to do. */
  idle(sessionId: number): void;
  /** The session has no sandbox any more. */
  released(): void;
  /** What one message in a chat may be. */
  takes(chatId: number): Takes;
  /** Inside the transaction that writes a chat's next message: marks it for sending. Null: it comes to it by itself. */
  claim(db: Db, chatId: number): OutboundRow | null;
  /** A chat shows that an agent is busy, from `begin` to `end`. Both return at once. */
  typing: { begin(place: TurnPlace): void; end(place: TurnPlace): void };
  /** Where chats show what there is of an answer; null: nowhere. */
  drafts: {
    /** Whether a chat can; null: whether any can. */
    wanted(chatId: number | null): boolean;
    /** There is more of it. Returns at once. */
    show(place: TurnPlace & { turn: number; session: number; reply_to: number }, text: string): void;
    /** The attempt has ended. */
    end(turn: number): void;
  } | null;
  /** Something was committed for this chat, `claimed` of it. */
  deliver(chatId: number, claimed?: OutboundRow | null): void;
  alert(kind: string, subject: string, text: string): void;
  /** The cause of an alert is gone. */
  clear(kind: string, subject: string): void;
}
