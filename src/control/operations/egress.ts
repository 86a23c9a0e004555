import { z } from 'zod';
import { nameSchema } from '../../base/config.ts';
import { APPROVAL_REASON_CHARS_MAX, AUDIT_ROWS_MAX } from '../../base/limits/gateway.ts';
import { egressLog } from '../../evidence/egress_log.ts';
import { NOTHING, type Operation, value } from './operation.ts';

const INPUTS = {
  explain: z.strictObject({
    group: nameSchema,
    method: z.string().regex(/^[A-Za-z]{1,20}$/, 'must be a method such as GET'),
    url: z.string().min(1).max(10_000),
  }),
  egress_log: z.strictObject({
    group: nameSchema.nullable().default(null),
    since_ms: z.int().min(0).default(0),
    limit: z.int().min(1).max(AUDIT_ROWS_MAX).default(50),
  }),
  approval: z.strictObject({ approval: z.string().max(20) }),
  body: z.strictObject({ approval: z.string().max(20), from: z.int().min(0).default(0) }),
  decide: z.strictObject({
    approval: z.string().max(20),
    allow: z.boolean(),
    /** Of a new chat: the group that is to answer there. */
    group: nameSchema.nullable().default(null),
    reason: z.string().max(APPROVAL_REASON_CHARS_MAX).default(''),
  }),
};

/** What groups ask of the outside, and what waits for a person. */
export const EGRESS: readonly Operation[] = [
  {
    name: 'egress_explain',
    summary: 'which rule decides about a request of a group',
    input: INPUTS.explain,
    handle: async ({ groups }, input: z.infer<typeof INPUTS.explain>) =>
      value(groups.explain(input.group, input.method, input.url)),
  },
  {
    name: 'egress_log',
    summary: 'the requests of groups, with the turns that they were made in',
    input: INPUTS.egress_log,
    handle: async ({ ledger, egress }, input: z.infer<typeof INPUTS.egress_log>) =>
      value({ rows: await egressLog(ledger.db, egress, input) }),
  },
  {
    name: 'approvals',
    summary: 'requests and questions that wait for a decision, and the last ones that did',
    input: NOTHING,
    handle: async ({ approvals, questions }) => value({ approvals: approvals.list(), questions: questions.list() }),
  },
  {
    name: 'approval_show',
    summary: 'a held request as it would leave, or a question',
    input: INPUTS.approval,
    handle: async ({ approvals, questions }, input: z.infer<typeof INPUTS.approval>) =>
      value(questions.show(input.approval) ?? approvals.show(input.approval)),
  },
  {
    name: 'approval_body',
    summary: 'a part of what a held request would send, as it is shown',
    input: INPUTS.body,
    handle: async ({ approvals }, input: z.infer<typeof INPUTS.body>) =>
      value(await approvals.body(input.approval, input.from)),
  },
  {
    name: 'approval_decide',
    summary: 'let exactly this be done once, or refuse it',
    input: INPUTS.decide,
    handle: async ({ decide }, input: z.infer<typeof INPUTS.decide>) =>
      value(await decide(input.approval, input.allow ? (input.group ?? 'approve') : 'deny', input.reason)),
  },
];
