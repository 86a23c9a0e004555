import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { AUDIT_ANCHOR_MS } from '../base/limits/gateway.ts';
import { anchorLog, type Log } from '../base/log.ts';
import { signerSeen } from '../ledger/cuts.ts';
import { eventHead, recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Anchor } from '../protocol/gateway.ts';
import type { Egress } from '../sessions/egress.ts';

/**
 * The heads of the two chains, each written down by the other process, so that neither can make its own anew: when a connection is
 * made, when a session's egress opens or closes, and once a minute while something happens.
 */
export class Anchors {
  readonly #parts: AnchorParts;
  readonly #say: (events: string, egress: string) => void;
  /** The newest event that the gateway has. */
  #known = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: AnchorParts) {
    this.#parts = parts;
    this.#say = anchorLog(parts.log, parts.clock);
  }

  start(): void {
    this.#timer = setInterval(() => void this.#tell(), AUDIT_ANCHOR_MS);
  }

  /** Resolves when the gateway has the last head, or has not taken it in time. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await Promise.race([this.#tell(), new Promise((resolve) => setTimeout(resolve, LAST_MS).unref())]);
  }

  /** It may be another gateway than before, and its key another one: that is written down as well. */
  connected(): void {
    const { egress, ledger, clock } = this.#parts;
    this.#known = 0;
    egress()
      .signer()
      .then((key) => ledger.write('signer', (db) => signerSeen(db, clock, key)))
      .then(() => this.#tell())
      .catch((error) => this.#failed(error));
  }

  /** A head of the gateway's. */
  heard(head: Anchor): void {
    const { ledger, clock } = this.#parts;
    // A disk that refuses it has alerts of its own; the next one vouches for this one's part too.
    ledger
      .write('anchor', (db) => recordEvent(db, clock, 'egress.anchored', {}, head))
      .then(() => this.#tell())
      .catch((error) => this.#failed(error));
  }

  /** What is committed only: between two transactions the ledger shows nothing else. */
  async #tell(): Promise<void> {
    const { egress, ledger } = this.#parts;
    const { id, hash } = eventHead(ledger.db);
    if (id === this.#known || !egress().connected) return;
    this.#known = id;
    try {
      const { seq, hash: audit } = await egress().head({ event: id, hash });
      this.#say(`${id}:${hash}`, `${seq}:${audit}`);
    } catch (error) {
      this.#known = 0;
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#parts.log.warn('chain.not_anchored', { reason: messageOf(error) });
  }
}

/** A host that ends does not wait longer for a gateway that hangs. */
const LAST_MS = 1000;

export interface AnchorParts {
  ledger: Ledger;
  clock: Clock;
  log: Log;
  /** Asked for when there is something to tell: it is made after this. */
  egress(): Pick<Egress, 'signer' | 'head' | 'connected'>;
}
