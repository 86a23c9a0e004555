import { type Moment, moment } from '../test/fakes/moment.ts';
import { type Spread, spreadOf } from './install.ts';

export interface RoundTrips {
  whole: Spread;
  /** How long the platform's server was at work meanwhile. */
  server: Spread;
  /** The whole without the server's own time, round by round: ours, and the client library's. */
  added: Spread;
}

/** Through a platform whose server is in this process and alone in it: its own time is this event loop's time at work. */
export class Rounds {
  readonly #trips: { whole: number; server: number }[] = [];

  trip(began: Moment, ended = moment()): void {
    this.#trips.push({ whole: ended.at_ms - began.at_ms, server: ended.atWork_ms - began.atWork_ms });
  }

  spreads(): RoundTrips {
    return {
      whole: spreadOf(this.#trips.map(({ whole }) => whole)),
      server: spreadOf(this.#trips.map(({ server }) => server)),
      added: spreadOf(this.#trips.map(({ whole, server }) => whole - server)),
    };
  }
}
