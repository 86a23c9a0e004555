import { isIP } from 'node:net';
import { z } from 'zod';
import { nameSchema } from '../base/config.ts';

/**
 * The `egress:` section of a `group.yaml`: services that a group may reach, by exact host, method and path.
 * deny > approve > allow; what is not listed is denied. `*` is one segment of a path, `**` at its end the rest.
 */

const METHODS = 'GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS';
const RULE = new RegExp(`^(?:${METHODS}|\\*) /[!-~]*$`);

/** `GET /repos/acme/app/**`. What would be read in two ways is refused, as the gateway refuses it in a request. */
export const ruleSchema = z.string().superRefine((rule, context) => {
  const reason = problemOf(rule);
  if (reason !== null) context.addIssue({ code: 'custom', message: `"${rule.slice(0, 100)}" ${reason}` });
});

function problemOf(rule: string): string | null {
  if (rule.length > 2000 || !RULE.test(rule)) return 'must be a method and a path, such as "GET /repos/acme/app/**"';
  const path = rule.slice(rule.indexOf(' ') + 1);
  if (/[?#;\\%]|\/\/|\/\.{1,2}(?:\/|$)/.test(path)) return 'must be a plain path, without query, escapes or dots';
  const segments = path.slice(1).split('/');
  if (segments.some((segment, at) => segment === '**' && at !== segments.length - 1))
    return 'has ** before its end, where it may only stand last';
  if (segments.some((segment) => segment !== '*' && segment !== '**' && segment.includes('*')))
    return 'has a * inside a segment, where it may only stand alone';
  return null;
}

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

function isHost(text: string): boolean {
  const labels = text.split('.');
  return text.length <= 253 && isIP(text) === 0 && labels.length > 1 && labels.every((label) => LABEL.test(label));
}

const hostSchema = z
  .string()
  .refine((text) => isHost(text.replace(/^\*\./, '')), 'must be a host name in lower case, such as "api.github.com"');

const rateSchema = z.string().regex(/^[1-9]\d{0,5}\/(?:s|min|hour|day)$/, 'must be a rate such as "120/min"');
/** `tools.*.type=web_fetch*`: keys with dots between, and a value that may end with a star. */
const jsonRuleSchema = z
  .string()
  .max(200)
  .regex(/^[^.=]+(?:\.[^.=]+)*(?:=.+)?$/, 'must be a path into a JSON body, such as "tools.*.type=web_fetch*"');

const cidrSchema = z.union([z.cidrv4(), z.cidrv6()]);
const rules = z.array(ruleSchema).max(200).default([]);

/** What comes from it, and whether to use it is to act: for the rule of two. Absent: as `rule_of_two.ts` says. */
export const labels = {
  reads: z.enum(['untrusted', 'private', 'both', 'none']).optional(),
  acts: z.boolean().optional(),
};
const labelsSchema = z.strictObject(labels);
export type Labels = z.infer<typeof labelsSchema>;

const serviceSchema = z
  .strictObject({
    host: hostSchema,
    port: z.int().min(1).max(65_535).default(443),
    wildcard: z.boolean().default(false),
    /** Name of the secret that is injected; how, and whether it may go to this host, stands with the secret. */
    use: nameSchema.optional(),
    /** Its requests go through the OneCLI gateway of `glass.yaml`, which gives them their credential. */
    via: z.literal('onecli').optional(),
    allow: rules,
    /** Held until a person has seen and allowed these exact bytes. */
    approve: rules,
    deny: rules,
    /** `key=value` or `key` that a query may have; none listed: any query. */
    query: z.array(z.string().min(1).max(200)).max(50).optional(),
    /** Paths into a JSON body that must not be there. */
    deny_json: z.array(jsonRuleSchema).max(50).default([]),
    rate: rateSchema.optional(),
    /** The only way to a private address; metadata addresses never. */
    private: z.array(cidrSchema).max(20).default([]),
    ws: z.boolean().default(false),
    ...labels,
    /** Examples that must come out as said, or the policy does not become active. */
    expect: z.strictObject({ allow: rules, approve: rules, deny: rules }).prefault({}),
  })
  .superRefine((service, context) => {
    const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
    const starred = service.host.startsWith('*.');
    if (starred !== service.wildcard) refuse(`the host ${service.host} and wildcard: ${service.wildcard} do not fit`);
    if (starred && service.use !== undefined) refuse('a wildcard host never gets a secret');
    if (service.via !== undefined && (starred || service.use !== undefined || service.private.length > 0 || service.ws))
      refuse('via: onecli goes with neither use, private, ws nor a wildcard: credential and address are OneCLI’s');
    if (service.ws && service.deny_json.length + service.approve.length > 0)
      refuse('ws: true goes with neither deny_json nor approve: nobody looks into what a WebSocket carries');
    if (service.allow.length + service.approve.length === 0) refuse('nothing is allowed: leave the service out');
  });
export type EgressService = z.infer<typeof serviceSchema>;

export const egressSchema = z.record(nameSchema, serviceSchema);
