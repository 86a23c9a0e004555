import { KIB, MINUTE_MS, SECOND_MS } from './units.ts';

/** Bounds of alerts that reach people, and of what is looked at for them. */

/** An alert that has not arrived in a chat by then goes to another channel of that person. With the sweep: within a minute. */
export const ALERT_ARRIVES_MS = 25 * SECOND_MS;
/** The same thing may begin so often in an hour; then it is said once that it comes and goes. */
export const ALERT_FLAPS_MAX = 3;
/** Alerts of a kind that people are told of in an hour; then it is said once that there are more. An agent can cause some kinds at will. */
export const ALERTS_TOLD_MAX = 10;
export const ALERT_WINDOW_MS = 60 * MINUTE_MS;
/** An alert that did not get out by then is given up: it says nothing any more. */
export const ALERT_KEPT_MS = 24 * 60 * MINUTE_MS;
/** Alerts that are written to chats in one transaction. */
export const ALERTS_AT_ONCE = 200;
/** Alerts in the list. */
export const ALERTS_SHOWN_MAX = 100;
/** One run of the operator's command, and one request of the gateway for an alert. */
export const ALERT_WAY_MS = 10 * SECOND_MS;
/** Tries of a way with one alert, and the waits between them: about half an hour. */
export const ALERT_TRIES_MAX = 8;
export const ALERT_RETRY_MS = 10 * SECOND_MS;
export const ALERT_RETRY_MAX_MS = 10 * MINUTE_MS;
/** Of `glass status`: a screen of a terminal that is as tall as a laptop; a small install has 20. */
export const STATUS_LINES_MAX = 40;
/** Bytes of one alert as JSON: its text, and a dozen short fields. */
export const ALERT_BODY_BYTES_MAX = 16 * KIB;
/** Between two signs of life. A little less than a minute, so that every second sweep gives one. */
export const HEARTBEAT_MS = 55 * SECOND_MS;
/** Signs of life in a row that did not get out, before somebody is told. */
export const HEARTBEAT_FAILS_MAX = 5;
/** What costs more than a query (a trial sandbox, the laws over all rows) is looked at as often. */
export const WATCH_SLOW_MS = 10 * MINUTE_MS;
export const WATCH_LAWS_MS = 60 * MINUTE_MS;
/** A gateway that starts again takes less. */
export const GATEWAY_AWAY_MS = 10 * SECOND_MS;
/** Ends of host or gateway within this time that are a loop. */
export const CRASHES_MAX = 3;
export const CRASHES_WINDOW_MS = 10 * MINUTE_MS;
/** A wait for a decision of which somebody is reminded. */
export const APPROVAL_LATE_MS = 60 * MINUTE_MS;
/** Runs of a task that failed in a row. */
export const TASK_FAILING = 3;
/** A clock that a time service trims moves by less between two looks. */
export const CLOCK_JUMP_MS = 5 * SECOND_MS;
/** From one proof of a channel to the next: a day, and an hour after one that failed. */
export const CHANNEL_PROOF_MS = 24 * 60 * MINUTE_MS;
export const CHANNEL_PROOF_AGAIN_MS = 60 * MINUTE_MS;
/** `glass alert test`: how long a way may take until it counts as failed. */
export const ALERT_TEST_MS = 20 * SECOND_MS;
/** The platform's answer to one. */
export const CHANNEL_PROOF_CALL_MS = 30 * SECOND_MS;
