import type { ToolDefinition } from '../runner/harness.ts';

/** The platform tools, defined once for every harness. Short: each byte is part of each request to the model. */
export const TOOL_DEFINITIONS: readonly ToolDefinition[] = [
  {
    name: 'send_message',
    description:
      'Send a message now, before your final answer (progress, or another destination). Your final answer is sent by itself.',
    input: {
      type: 'object',
      properties: {
        text: { type: 'string', description: 'Markdown text' },
        to: { type: 'string', description: 'A destination from list_destinations; default: this chat' },
      },
      required: ['text'],
    },
  },
  {
    name: 'send_file',
    description: 'Send a file of yours, with a text if you like.',
    input: {
      type: 'object',
      properties: {
        path: { type: 'string', description: 'A regular file, 50 MB at most' },
        text: { type: 'string', description: 'Markdown text above it' },
        to: { type: 'string', description: 'A destination from list_destinations; default: this chat' },
      },
      required: ['path'],
    },
  },
  {
    name: 'react',
    description: 'React to a message of this turn with an emoji, where the chat can show it.',
    input: {
      type: 'object',
      properties: {
        emoji: { type: 'string', description: 'One emoji' },
        to: { type: 'number', description: 'Which message, counted from 1; default: the last' },
      },
      required: ['emoji'],
    },
  },
  {
    name: 'ask',
    description: 'Ask people something that you cannot decide or find out, and wait for the answer.',
    input: {
      type: 'object',
      properties: {
        question: { type: 'string' },
        options: {
          type: 'array',
          items: { type: 'string' },
          description: 'Up to 9, short; without them any words are an answer',
        },
        to: { type: 'string', description: 'As of send_message' },
        minutes: { type: 'number', description: 'To wait, default 60, at most 1440' },
      },
      required: ['question'],
    },
  },
  {
    name: 'card',
    description: 'Send a few facts that belong together, now.',
    input: {
      type: 'object',
      properties: {
        title: { type: 'string' },
        text: { type: 'string', description: 'Below the title' },
        fields: {
          type: 'array',
          items: {
            type: 'object',
            properties: {
              name: { type: 'string' },
              value: { type: 'string' },
            },
            required: ['name', 'value'],
          },
          description: 'Up to 20',
        },
        to: { type: 'string', description: 'As of send_message' },
      },
      required: ['title'],
    },
  },
  {
    name: 'no_reply',
    description: 'End this turn without any answer.',
    input: {
      type: 'object',
      properties: { reason: { type: 'string', description: 'Why, for the operator' } },
      required: [],
    },
  },
  {
    name: 'list_destinations',
    description: 'List the chats you may send to.',
    input: { type: 'object', properties: {}, required: [] },
  },
  {
    name: 'task_add',
    description: 'Have something asked of you at a time. You answer it then, in that chat, without anybody writing.',
    input: {
      type: 'object',
      properties: {
        when: { type: 'string', description: 'at 2026-12-01T09:00, every 2h, or cron 0 9 * * 1-5' },
        text: { type: 'string', description: 'What is asked of you each time' },
        to: { type: 'string', description: 'A destination from list_destinations; default: this chat' },
        zone: { type: 'string', description: 'Such as Europe/Berlin' },
        gate: {
          type: 'string',
          description: 'Shell script run first in /workspace: exit 0 wakes you with its output, 1 does not',
        },
        here: { type: 'boolean', description: 'In this conversation, instead of one of its own' },
      },
      required: ['when', 'text'],
    },
  },
  { name: 'task_list', description: 'List your tasks.', input: { type: 'object', properties: {}, required: [] } },
  {
    name: 'task_cancel',
    description: 'Remove a task.',
    input: { type: 'object', properties: { task: { type: 'string', description: 'Such as k3' } }, required: ['task'] },
  },
  {
    name: 'request_authority',
    description: 'Ask a person for what you lack. Does not wait: a message tells you the decision.',
    input: {
      type: 'object',
      properties: {
        reason: { type: 'string', description: 'For the person' },
        add: {
          type: 'object',
          description:
            'Lists: apt, npm, pip, secrets (names); mounts {source, access: read|write}; egress {name, host, use?: secret, allow?, approve?: ["GET /path/**"]}; mcp {name, command: [program, ...arguments]}; agents {name, instructions?: of a new one}',
        },
      },
      required: ['reason', 'add'],
    },
  },
  {
    name: 'history_search',
    description: 'Search everything said with you so far, newest first.',
    input: {
      type: 'object',
      properties: { words: { type: 'string', description: 'All of these words must occur' } },
      required: ['words'],
    },
  },
];
