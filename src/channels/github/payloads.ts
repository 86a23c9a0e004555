import { z } from 'zod';

/** What GitHub sends, as far as we read it. Unknown fields are fine. */

const user = z.object({ id: z.int(), login: z.string(), type: z.string() });

/** Whoever deleted their account has left what they wrote. */
const author = user.nullable();
const body = z.string().nullish();
const time = z.iso.datetime().transform((text) => Date.parse(text));

/** The last part of an address of an issue or a pull request. */
const numbered = z
  .string()
  .regex(/\/(issues|pulls)\/\d{1,10}$/)
  .transform((url) => Number(url.slice(url.lastIndexOf('/') + 1)));

export const comment = z.object({
  id: z.int(),
  user: author,
  body,
  created_at: time,
  updated_at: time,
  issue_url: numbered,
});

export const reviewComment = z.object({
  id: z.int(),
  user: author,
  body,
  created_at: time,
  updated_at: time,
  pull_request_url: numbered,
  /** The comment that began the thread, whichever was answered. */
  in_reply_to_id: z.int().optional(),
});

/** A pull request is one too. */
export const issue = z.object({
  id: z.int(),
  number: z.int(),
  title: z.string(),
  user: author,
  body,
  created_at: time,
  updated_at: time,
  pull_request: z.object({}).optional(),
});

export const review = z.object({
  id: z.int(),
  user: author,
  body,
  /** Absent while its author still writes it. */
  submitted_at: time.optional(),
});

export const account = z.object({ login: z.string() });
export const app = z.object({ slug: z.string() });
export const appToken = z.object({ token: z.string().min(1), expires_at: time });
/** `permission`: of the five roles `maintain` counts as `write`, and `triage` as `read`. */
export const permission = z.object({ permission: z.string(), user: z.object({ id: z.int() }).nullish() });
export const written = z.object({ id: z.int() });
export const marked = z.object({ id: z.int(), user: author, body });
/** What stands in every list. */
export const entry = z.object({ id: z.int() });

export const call = z.object({
  action: z.string().optional(),
  repository: z.object({ full_name: z.string() }).optional(),
  issue: z.object({ number: z.int(), title: z.string() }).optional(),
  pull_request: z.object({ number: z.int(), title: z.string() }).optional(),
  comment: z.object({ id: z.int(), updated_at: time }).optional(),
});

export type GhUser = z.infer<typeof user>;
export type GhComment = z.infer<typeof comment>;
export type GhReviewComment = z.infer<typeof reviewComment>;
export type GhIssue = z.infer<typeof issue>;
export type GhReview = z.infer<typeof review>;
export type GhCall = z.infer<typeof call>;
