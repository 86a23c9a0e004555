import type { Clock } from '../base/clock.ts';
import { OperatingError, unreachable } from '../base/errors.ts';
import { MODEL_FAILS_ROWS_MAX, MODEL_FAILS_WINDOW_MS } from '../base/limits/gateway.ts';
import { anchorLog, type FileLog } from '../base/log.ts';
import { type Cut, cutBytes, DAY_MS, endOfDay, startOfKept } from '../protocol/chain.ts';
import {
  type Anchor,
  type ChainState,
  type EventAnchor,
  type GatewayAnswers,
  type GatewayEvent,
  type GatewayRequest,
  gatewayRequest,
} from '../protocol/gateway.ts';
import type { Vault } from '../vault/vault.ts';
import type { Audit } from './audit.ts';
import type { Budgets } from './budget.ts';
import type { Holds } from './holds.ts';
import { modelsOf } from './model_health.ts';
import type { Outward } from './outward.ts';
import type { EgressContext } from './session.ts';
import type { EgressSessions } from './sessions.ts';
import type { LineService, Peer } from './sockets.ts';

export interface Evidence {
  /** How long events and requests are kept. */
  keep_ms: number;
  /** Whether the audit holds; the key is that of its cut. */
  check(audit: Audit, signer: string, asked: { anchors: Anchor[]; cut: EventAnchor | null }): Promise<ChainState>;
}

/**
 * What the host can ask on `gateway.sock`. One host at a time: a new connection replaces the old one. The open
 * sessions belong to the connection that opened them and end with it, so that no sandbox keeps a way out that no
 * host knows of; the host opens them again when it is back.
 */
export class HostService implements LineService<GatewayRequest> {
  readonly schema = gatewayRequest;
  readonly connectionsMax = 4; // The one in use, and those that replace it before the old one's end is noticed.
  readonly log: FileLog;
  readonly #sessions: EgressSessions;
  readonly #audit: Audit;
  readonly #budgets: Budgets;
  readonly #holds: Holds;
  readonly #vault: Vault;
  readonly #clock: Clock;
  readonly #evidence: Evidence;
  readonly #logAnchors: (events: string, egress: string) => void;
  readonly #outward: Outward;
  #host: Peer | null = null;
  /** Of the last link that a host was given. */
  #anchored = 0;

  constructor(
    sessions: EgressSessions,
    context: EgressContext & { log: FileLog },
    vault: Vault,
    evidence: Evidence,
    outward: Outward,
  ) {
    const { audit, budgets, holds, log, clock } = context;
    this.#sessions = sessions;
    this.#audit = audit;
    this.#budgets = budgets;
    this.#holds = holds;
    this.#vault = vault;
    this.#clock = clock;
    this.#evidence = evidence;
    this.#logAnchors = anchorLog(log, clock);
    this.#outward = outward;
    this.log = log;
  }

  /** Tells the host, if there is one; an event without a host is lost, and the host asks again when it connects. */
  tell(event: GatewayEvent): void {
    this.#host?.send(event);
  }

  /** Gives the host the head of the audit's chain, if it is another one than last time. */
  anchor(): void {
    const { head } = this.#audit;
    if (head.seq === this.#anchored || this.#host === null) return;
    this.#anchored = head.seq;
    this.tell({ event: 'anchor', ...head });
  }

  readonly connected = (peer: Peer): void => {
    const old = this.#host;
    if (old !== null) {
      this.log.warn('host replaced');
      this.#sessions.closeAll();
      old.close();
    }
    this.#host = peer;
    this.tell({ event: 'secrets', names: this.#vault.names() });
    this.#anchored = 0;
    this.anchor();
  };

  readonly disconnected = (peer: Peer): void => {
    if (this.#host !== peer) return;
    this.#host = null;
    this.#sessions.closeAll();
    this.log.info('host gone');
  };

  readonly handle = async (request: GatewayRequest, peer: Peer): Promise<object> => {
    // A line of the replaced host that was still in the buffer must not open anything.
    if (peer !== this.#host) return {};
    return this.#answer(request);
  };

  async #answer(request: GatewayRequest): Promise<GatewayAnswers[GatewayRequest['op']]> {
    switch (request.op) {
      case 'open':
        await this.#sessions.open(request.session, request.group, request.policy, request.socket, request.marks);
        this.anchor();
        return {};
      case 'marks':
        this.#sessions.know(request.session, request.marks);
        return {};
      case 'close': {
        const cut = this.#sessions.end(request.session);
        this.anchor();
        return { cut };
      }
      case 'names':
        return { names: this.#vault.names() };
      case 'audit':
        return { rows: this.#audit.rows(request.session, request.from_ms, request.to_ms) };
      case 'log':
        return { rows: this.#audit.log(request.group, request.since_ms, request.limit) };
      case 'check':
        return this.#evidence.check(this.#audit, this.#vault.signer(), request);
      case 'head':
        return { audit: this.#head(request) };
      case 'signer':
        return { key: this.#vault.signer() };
      case 'cut':
        return { signature: await this.#cut(request.cut) };
      case 'decide':
        return { refused: this.#holds.decide(request) };
      case 'body': {
        const part = this.#holds.body(request.hold, request.from);
        if (part === null) throw new OperatingError('not_found', 'it does not wait any more, and its bytes are gone');
        return part;
      }
      case 'usage':
        return { rows: this.#audit.usage(request.since_ms) };
      case 'spoken':
        this.#budgets.spoken(request.group, request.at_ms);
        return {};
      case 'health': {
        const since_ms = this.#clock.now() - MODEL_FAILS_WINDOW_MS;
        return { models: modelsOf(this.#audit.log(null, since_ms, MODEL_FAILS_ROWS_MAX)), log: this.log.trouble() };
      }
      case 'post':
        return { failed: await this.#outward.post(request.to, request.body) };
      case 'release':
        return { value: this.#release(request.name) };
      default:
        return unreachable(request);
    }
  }

  #head({ event, hash }: EventAnchor): Anchor {
    const before = this.#audit.head.seq;
    const head = this.#audit.hostHead({ event, hash });
    // Else the two would go on telling each other of what they have told each other.
    if (this.#anchored === before) this.#anchored = head.seq;
    this.#logAnchors(`${event}:${hash}`, `${head.seq}:${head.hash}`);
    return { seq: head.seq, hash: head.hash };
  }

  /**
   * A host that was taken over must not have its traces cut off: a day goes when it is over for as long as `glass.yaml` says, with the
   * events that were known by the end of the next one. Rejects with `OperatingError('refused')`.
   */
  async #cut(cut: Cut): Promise<string> {
    const before_ms = startOfKept(this.#clock.now(), this.#evidence.keep_ms);
    if (endOfDay(cut.day) > before_ms || cut.through > this.#audit.eventKnownAt(before_ms + DAY_MS))
      throw new OperatingError('refused', `events up to ${cut.through} are not old enough to be removed`);
    const signature = this.#vault.sign(cutBytes('events', cut));
    this.#audit.hostHead({ event: cut.through, hash: cut.hash }, cut.day);
    await this.#audit.cut(before_ms, (bytes) => this.#vault.sign(bytes));
    return signature;
  }

  /** The only way by which a value leaves this process. Throws `OperatingError`: `not_found`, `refused`. */
  #release(name: string): string {
    const secret = this.#vault.read(name);
    if (secret === null) throw new OperatingError('not_found', `secret "${name}" is not set`);
    const { kind } = secret.terms.form;
    if (kind !== 'channel') {
      this.log.warn('release refused', { name, kind });
      throw new OperatingError(
        'refused',
        `secret "${name}" is of kind ${kind}, and only a channel's token is released`,
      );
    }
    this.log.info('channel token released', { name });
    return secret.value.toString();
  }
}
