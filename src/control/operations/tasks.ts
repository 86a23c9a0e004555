import { z } from 'zod';
import { nameSchema } from '../../base/config.ts';
import { TASK_RUNS_KEPT } from '../../base/limits/messages.ts';
import { type Operation, value } from './operation.ts';

const task = z.string().max(20);

const INPUTS = {
  list: z.strictObject({ group: nameSchema.nullable().default(null) }),
  add: z.strictObject({
    group: nameSchema,
    to: z.string().min(3).max(400),
    thread: z.string().max(200).default(''),
    when: z.string().max(300),
    zone: z.string().min(1).max(60).optional(),
    text: z.string(),
    gate: z.string().optional(),
    catch_up: z.enum(['skip', 'once', 'all']).optional(),
    here: z.boolean().optional(),
  }),
  log: z.strictObject({ task, limit: z.int().min(1).max(TASK_RUNS_KEPT).default(10) }),
  one: z.strictObject({ task }),
  change: z.strictObject({ task, what: z.enum(['pause', 'resume', 'remove']) }),
};

/** Scheduled work. */
export const TASKS: readonly Operation[] = [
  {
    name: 'tasks',
    summary: 'scheduled work, what runs next first',
    input: INPUTS.list,
    handle: async ({ tasks }, { group }: z.infer<typeof INPUTS.list>) =>
      value({ tasks: tasks.list(group === null ? null : [group]) }),
  },
  {
    name: 'task_add',
    summary: 'have something asked at a time, once or again and again',
    input: INPUTS.add,
    handle: async ({ tasks, person }, input: z.infer<typeof INPUTS.add>) =>
      value(await tasks.add(input, { person: person(), by: 'operator' })),
  },
  {
    name: 'task_log',
    summary: 'the last runs of a task, newest first',
    input: INPUTS.log,
    handle: async ({ tasks }, input: z.infer<typeof INPUTS.log>) => value(tasks.log(input.task, input.limit)),
  },
  {
    name: 'task_run',
    summary: 'run a task now; its next time stays',
    input: INPUTS.one,
    handle: async ({ tasks }, input: z.infer<typeof INPUTS.one>) => value(await tasks.run(input.task)),
  },
  {
    name: 'task_change',
    summary: 'pause, resume or remove a task',
    input: INPUTS.change,
    handle: async ({ tasks }, input: z.infer<typeof INPUTS.change>) =>
      value(await tasks.change(input.task, input.what, 'operator')),
  },
];
