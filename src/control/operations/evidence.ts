import { z } from 'zod';
import { exportLines } from '../../evidence/export.ts';
import { verify } from '../../evidence/verify.ts';
import { daySchema, hashSchema } from '../../protocol/chain.ts';
import type { Operation } from './operation.ts';

const INPUTS = {
  verify: z.strictObject({
    head: z
      .strictObject({ event: z.int().min(1), hash: hashSchema })
      .nullable()
      .default(null),
    egress_head: z
      .strictObject({ seq: z.int().min(1), hash: hashSchema })
      .nullable()
      .default(null),
  }),
  export: z.strictObject({ from: daySchema.nullable().default(null), to: daySchema.nullable().default(null) }),
};

/** How often a check says how far it is, in milliseconds. */
const PROGRESS_MS = 1000;

/** What happened, as something that others can rely on. */
export const EVIDENCE: readonly Operation[] = [
  {
    name: 'events_verify',
    summary: 'whether events and requests are whole and unchanged: `progress` lines, then `verified`',
    input: INPUTS.verify,
    handle: async ({ ledger, egress }, input: z.infer<typeof INPUTS.verify>) => ({
      kind: 'stream',
      run: async (write) => {
        let said = performance.now();
        const found = await verify(ledger.db, egress, input, (done, of) => {
          if (performance.now() - said < PROGRESS_MS) return;
          said = performance.now();
          write({ t: 'progress', done, of });
        });
        write({ t: 'verified', ...found });
      },
    }),
  },
  {
    name: 'events_export',
    summary: 'the events of some days, with what somebody else needs to check them',
    input: INPUTS.export,
    handle: async ({ ledger }, input: z.infer<typeof INPUTS.export>) => ({
      kind: 'stream',
      run: async (write, gone, drained) => {
        let isGone = false;
        void gone.then(() => {
          isGone = true;
        });
        for (const line of exportLines(ledger.db, input)) {
          write(line);
          await drained();
          if (isGone) return;
        }
      },
    }),
  },
];
