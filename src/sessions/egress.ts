import type { z } from 'zod';
import { messageOf, OperatingError, unreachable } from '../base/errors.ts';
import { GATEWAY_READY_MS } from '../base/limits/gateway.ts';
import type { Log } from '../base/log.ts';
import type { Cut, SignedCut } from '../protocol/chain.ts';
import {
  type Anchor,
  type AuditRow,
  auditRow,
  type BodyPart,
  type ChainState,
  type CutCall,
  chainState,
  closeAnswer,
  type Decision,
  type EventAnchor,
  type GatewayAnswers,
  type GatewayHealth,
  gatewayEvent,
  gatewayHealth,
  type HoldEvent,
  type Mark,
  type MarkEvent,
  type UsageRow,
  usageRow,
} from '../protocol/gateway.ts';
import { LineClient } from '../protocol/lines_client.ts';
import { Spoken } from './spoken.ts';

/**
 * The host's side of `gateway.sock`: opens and closes the egress of sessions and asks for evidence. The connection is
 * made again for as long as the host lives; after it the live sessions are opened again, until then they have no egress.
 */
export interface EgressHandlers {
  alert(kind: string, subject: string, text: string): void;
  /** There is a connection to the gateway, perhaps to another one than before. */
  connected(): void;
  /** A head of the audit's chain, to be written down. */
  anchor(head: Anchor): void;
  /** A request waits for a person. */
  held(event: HoldEvent): void;
  /** A request waits until what it marks its session with is on record: then `marked` says so. */
  mark(event: MarkEvent): void;
  /** What a session has seen and done so far, as it is on record. */
  marks(session: string): Mark[];
  /** The gateway has refused it by itself. */
  heldEnded(hold: string, reason: string): void;
  /** The connection is gone, and with it what was held. */
  lost(): void;
  /** The set of secrets became known or changed, or a value did. */
  secrets(): void;
  /** Whether a group is stopped: nothing opens for it then. */
  stopped(group: string): boolean;
  /** A live session could not be opened again: it has no egress, and must start anew. */
  refused(session: string, reason: string): void;
}

/** What the gateway must know to give a session its egress. */
export interface EgressSession {
  session: string;
  group: string;
  /** SHA-256 (hex) of the authority in force: the gateway reads what to allow from the object of that name. */
  policy: string;
  socket: string;
}

const RECONNECT_FIRST_MS = 50;
const RECONNECT_MAX_MS = 1000;
const REQUEST_MS = 10_000;
/** A gateway that has not said so by then is told of: whether anything leaves is no longer known. */
const CUT_MS = 3000;
/** More than the gateway's own deadline. */
const POST_MS = 15_000;
/** A million rows take some ten seconds. */
const CHECK_MS = 10 * 60_000;

export class Egress {
  readonly #path: string;
  readonly #log: Log;
  readonly #handlers: EgressHandlers;
  readonly #open = new Map<string, EgressSession>();
  /** By session, the marks that the gateway was told last. */
  readonly #told = new Map<string, string>();
  readonly #spoken = new Spoken((group, at_ms) => this.#tellSpoken(group, at_ms));
  #client: LineClient | null = null;
  #since_ms = Date.now();
  #waiting: (() => void)[] = [];
  #stopped = false;
  #names: ReadonlySet<string> = new Set();

  constructor(path: string, log: Log, handlers: EgressHandlers) {
    this.#path = path;
    this.#log = log;
    this.#handlers = handlers;
  }

  /** Connects, and keeps connecting. Returns at once. */
  start(): void {
    void this.#connect(RECONNECT_FIRST_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#client?.close();
  }

  get connected(): boolean {
    return this.#client !== null;
  }

  /** Since when it is connected, or is not. */
  get sinceMs(): number {
    return this.#since_ms;
  }

  /** When somebody last spoke to a group, as far as this host has heard; 0: never. */
  lastSpoken(group: string): number {
    return this.#spoken.last(group);
  }

  /** Names of the secrets that exist, as last heard. */
  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /**
   * Resolves when the session's egress socket listens. A gateway that dies meanwhile is waited for: its restart is no
   * fault of the session. Rejects with `OperatingError`: `refused` for a group that is stopped, before or meanwhile.
   */
  async open(session: EgressSession): Promise<void> {
    this.#refuseStopped(session);
    this.#open.set(session.session, session);
    const until = performance.now() + GATEWAY_READY_MS;
    for (;;) {
      try {
        await this.#ask('open', { ...this.#withMarks(session) }, GATEWAY_READY_MS);
        break;
      } catch (error) {
        const lost = error instanceof OperatingError && error.code === 'unavailable' && this.#client === null;
        if (lost && performance.now() < until) continue;
        this.#open.delete(session.session);
        throw error;
      }
    }
    if (this.#open.get(session.session) === session) return;
    // It was closed while it was opened: perhaps before the gateway had it.
    void this.cut(session.session);
    this.#refuseStopped(session);
    throw new OperatingError('unavailable', 'its egress was closed meanwhile');
  }

  #refuseStopped({ group }: EgressSession): void {
    if (this.#handlers.stopped(group)) throw new OperatingError('refused', `${group} is stopped`);
  }

  /**
   * Resolves when the gateway knows what a session is marked with: before that, its sandbox must not be shown what it was marked for. A
   * gateway that is lost has closed the session, and is told when it is opened anew. Rejects with `OperatingError`.
   */
  async marked(session: string): Promise<void> {
    const client = this.#client;
    if (client === null || !this.#open.has(session)) return;
    const marks = this.#handlers.marks(session);
    if (this.#told.get(session) === marks.join('')) return;
    try {
      await client.request({ op: 'marks', session, marks }, REQUEST_MS);
      this.#told.set(session, marks.join(''));
    } catch (error) {
      if (!client.closed) throw error;
    }
  }

  /** Requests are carried out in their order: what it is told later counts. */
  #withMarks(session: EgressSession): EgressSession & { marks: Mark[] } {
    const marks = this.#handlers.marks(session.session);
    this.#told.set(session.session, marks.join(''));
    return { ...session, marks };
  }

  /** Returns at once; a gateway that is gone has closed it already. */
  close(session: string): void {
    this.#told.delete(session);
    if (!this.#open.delete(session) || this.#client === null) return;
    void this.#ask('close', { session }, REQUEST_MS).catch(() => {});
  }

  /** Closes it now. Resolves with the calls that were cut by that; null: the gateway has not said so. */
  async cut(session: string): Promise<CutCall[] | null> {
    this.#open.delete(session);
    this.#told.delete(session);
    if (this.#client === null) return null;
    try {
      return closeAnswer.parse(await this.#ask('close', { session }, CUT_MS)).cut;
    } catch {
      return null;
    }
  }

  /** Somebody spoke to a group. Returns at once. */
  spoken(group: string, at_ms: number): void {
    this.#spoken.heard(group, at_ms);
  }

  /** Model requests of a session that began in a window. Empty when the gateway cannot be asked. */
  async audit(session: string, from_ms: number, to_ms: number): Promise<AuditRow[]> {
    return this.#rows(auditRow, () => this.#ask('audit', { session, from_ms, to_ms }, REQUEST_MS));
  }

  /** The newest requests since a time, of a group or of all. Rejects with `OperatingError`. */
  async log(group: string | null, since_ms: number, limit: number): Promise<AuditRow[]> {
    const { rows } = await this.#ask('log', { group, since_ms, limit }, REQUEST_MS);
    return rows.map((row) => auditRow.parse(row));
  }

  /**
   * Whether the audit's chain holds, and agrees with heads that were written down; `cut`: of the events, whether the gateway has
   * signed it. Rejects with `OperatingError`.
   */
  async check(anchors: readonly Anchor[], cut: EventAnchor | null): Promise<ChainState> {
    if (this.#client === null) await this.#whenConnected(REQUEST_MS);
    return chainState.parse(await this.#ask('check', { anchors, cut }, CHECK_MS));
  }

  /** Has a head of the events written down; returns the audit's own. Rejects with `OperatingError`. */
  async head(head: EventAnchor): Promise<Anchor> {
    return (await this.#ask('head', { ...head }, REQUEST_MS)).audit;
  }

  /** The public key that cuts are signed with. Rejects with `OperatingError`. */
  async signer(): Promise<string> {
    return (await this.#ask('signer', {}, REQUEST_MS)).key;
  }

  /** Has a cut of the events signed; the gateway cuts its own record likewise. Rejects with `OperatingError`. */
  async signCut(cut: Cut): Promise<SignedCut> {
    if (this.#client === null) await this.#whenConnected(REQUEST_MS);
    return { ...cut, signature: (await this.#ask('cut', { cut }, CHECK_MS)).signature };
  }

  /** Returns why nothing has left. Rejects with `OperatingError`: then it is unknown whether it has. */
  async decide(decision: Decision): Promise<string | null> {
    return (await this.#ask('decide', { ...decision }, REQUEST_MS)).refused;
  }

  /** A part of what a held request would send. Rejects with `OperatingError`. */
  async body(hold: string, from: number): Promise<BodyPart> {
    return this.#ask('body', { hold, from }, REQUEST_MS);
  }

  /** A channel's token: secrets of no other kind come. Rejects with `OperatingError`. */
  async release(name: string): Promise<string> {
    return (await this.#ask('release', { name }, REQUEST_MS)).value;
  }

  /** Null: it cannot be asked. */
  async health(): Promise<GatewayHealth | null> {
    if (this.#client === null) return null;
    return this.#ask('health', {}, REQUEST_MS).then(
      (said) => gatewayHealth.parse(said),
      () => null,
    );
  }

  /** To an address that `glass.yaml` names. Resolves with why it was not taken, or null. */
  async post(to: 'webhook' | 'heartbeat', body: string): Promise<string | null> {
    if (this.#client === null) return 'the gateway is away';
    return this.#ask('post', { to, body }, POST_MS).then(({ failed }) => failed, messageOf);
  }

  async usage(since_ms: number): Promise<UsageRow[]> {
    return this.#rows(usageRow, () => this.#ask('usage', { since_ms }, REQUEST_MS));
  }

  async #rows<T>(schema: z.ZodType<T>, ask: () => Promise<{ rows: unknown[] }>): Promise<T[]> {
    if (this.#client === null) return [];
    try {
      return (await ask()).rows.map((row) => schema.parse(row));
    } catch (error) {
      this.#log.warn('gateway.evidence', { reason: messageOf(error) });
      return [];
    }
  }

  async #ask<Op extends keyof GatewayAnswers>(
    op: Op,
    fields: Record<string, unknown>,
    timeout_ms: number,
  ): Promise<GatewayAnswers[Op]> {
    const client = this.#client ?? (await this.#whenConnected(timeout_ms));
    return client.request<GatewayAnswers[Op]>({ op, ...fields }, timeout_ms);
  }

  #whenConnected(timeout_ms: number): Promise<LineClient> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new OperatingError('unavailable', 'the gateway is not running')),
        timeout_ms,
      );
      this.#waiting.push(() => {
        clearTimeout(timer);
        if (this.#client !== null) resolve(this.#client);
        else reject(new OperatingError('unavailable', 'the gateway went away'));
      });
    });
  }

  async #connect(wait_ms: number): Promise<void> {
    if (this.#stopped) return;
    const handlers = {
      peer: 'the gateway',
      onEvent: (event: unknown) => this.#event(event),
      onClose: () => this.#lost(),
    };
    const client = await LineClient.connect(this.#path, REQUEST_MS, handlers).catch(() => null);
    if (client !== null) this.#connected(client);
    else setTimeout(() => void this.#connect(Math.min(wait_ms * 2, RECONNECT_MAX_MS)), wait_ms);
  }

  #connected(client: LineClient): void {
    this.#client = client;
    this.#since_ms = Date.now();
    this.#log.info('gateway.connected', { sessions: this.#open.size });
    this.#spoken.again();
    for (const session of this.#open.values()) void this.#reopen(client, session);
    for (const resume of this.#waiting.splice(0)) resume();
    this.#handlers.connected();
  }

  async #reopen(client: LineClient, session: EgressSession): Promise<void> {
    if (this.#handlers.stopped(session.group)) return;
    try {
      await client.request({ op: 'open', ...this.#withMarks(session) }, GATEWAY_READY_MS);
    } catch (error) {
      // A gateway that is being killed still takes connections for a moment: losing it is no refusal, the next one asks.
      if (client.closed) return;
      this.#log.warn('gateway.reopen', { session: session.session, reason: messageOf(error) });
      this.#handlers.refused(session.session, messageOf(error));
    }
  }

  /** A gateway that is gone, or goes, is told when it is back. */
  #tellSpoken(group: string, at_ms: number): void {
    if (this.#client !== null) this.#ask('spoken', { group, at_ms }, REQUEST_MS).catch(() => {});
  }

  #lost(): void {
    this.#client = null;
    this.#since_ms = Date.now();
    if (this.#stopped) return;
    this.#log.warn('gateway.lost');
    this.#handlers.lost();
    void this.#connect(RECONNECT_FIRST_MS);
  }

  #event(raw: unknown): void {
    const parsed = gatewayEvent.safeParse(raw);
    if (!parsed.success) return this.#log.warn('gateway.event_refused');
    const event = parsed.data;
    switch (event.event) {
      case 'alert':
        return this.#handlers.alert(event.kind, event.subject, event.text);
      case 'anchor':
        return this.#handlers.anchor({ seq: event.seq, hash: event.hash });
      case 'mark':
        return this.#handlers.mark(event);
      case 'hold':
        return this.#handlers.held(event);
      case 'hold_ended':
        return this.#handlers.heldEnded(event.hold, event.reason);
      case 'secrets':
        this.#names = new Set(event.names);
        return this.#handlers.secrets();
      default:
        return unreachable(event);
    }
  }
}
