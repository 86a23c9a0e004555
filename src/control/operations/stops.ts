import { z } from 'zod';
import { nameSchema } from '../../base/config.ts';
import { type Operation, value } from './operation.ts';

/** Null: every group. */
const group = nameSchema.nullable();

const INPUTS = {
  stop: z.strictObject({ group }),
  resume: z.strictObject({ group, drop_held: z.boolean().default(false) }),
};

/** The emergency stop. */
export const STOPS: readonly Operation[] = [
  {
    name: 'group_stop',
    summary: 'stop a group, or all, at once: nothing of it runs or leaves until it is resumed',
    input: INPUTS.stop,
    handle: async ({ emergency, operator }, input: z.infer<typeof INPUTS.stop>) =>
      value(await emergency.stop(input.group, operator)),
  },
  {
    name: 'group_resume',
    summary: 'let a stopped group, or all, go on',
    input: INPUTS.resume,
    handle: async ({ emergency, operator }, input: z.infer<typeof INPUTS.resume>) =>
      value(await emergency.resume(input.group, operator, input.drop_held)),
  },
];
