import { moment } from '../test/fakes/moment.ts';
import { WireInstall } from '../test/fakes/whatsapp_linked/wire.ts';
import { until } from './install.ts';
import { Rounds, type RoundTrips } from './rounds.ts';

/** After the start: its caches of compiled code are filled, and what it has left is collected. */
const REST_MS = 10_000;

/**
 * A linked device of WhatsApp in an install of its own, which believes in the certificate of the fake server: from there to there,
 * encrypted both ways. What the person's phone does itself, which is in this process, is not counted.
 */
export async function linkedWarm(warming: number, rounds: number): Promise<RoundTrips> {
  const world = await WireInstall.start();
  const { server, person, install } = world;
  try {
    await install.settle();
    await world.connected();
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    const trips = new Rounds();
    for (let round = -warming; round < rounds; round += 1) {
      const text = `You said: round ${round + 100}`;
      const written = await server.written(person, text.replace('You said: ', ''));
      const began = moment();
      server.post(written);
      const answer = await until('it is answered', async () => {
        const found = server.heard.find((heard) => heard.by === person && heard.text.includes(text));
        if (found === undefined) throw new Error('not yet');
        return found;
      });
      if (round >= 0) trips.trip(began, answer.at);
    }
    return trips.spreads();
  } finally {
    await world.end();
  }
}
