-- Who may talk, to whom, and who answers.

-- A person who was removed keeps their row, because what they said and decided names it, and nothing else.
ALTER TABLE people ADD COLUMN removed_ms INTEGER;
ALTER TABLE identities ADD COLUMN dm_chat INTEGER REFERENCES chats (id); -- where they can be written to alone
CREATE INDEX identities_person ON identities (person_id);

ALTER TABLE chats ADD COLUMN policy TEXT NOT NULL DEFAULT 'strict' CHECK (policy IN ('strict', 'ask', 'public')); -- for senders without a role
ALTER TABLE chats ADD COLUMN direct INTEGER NOT NULL DEFAULT 0; -- 1: one person and us

CREATE TABLE wirings_new (
  id         INTEGER PRIMARY KEY,
  chat_id    INTEGER NOT NULL REFERENCES chats (id),
  group_name TEXT NOT NULL REFERENCES groups (name),
  engage     TEXT NOT NULL CHECK (engage IN ('always', 'pattern', 'mention', 'mention-sticky')),
  pattern    TEXT NOT NULL DEFAULT '',  -- of engage `pattern`
  context    TEXT NOT NULL DEFAULT 'drop' CHECK (context IN ('drop', 'accumulate')),
  senders    TEXT NOT NULL DEFAULT 'anyone' CHECK (senders IN ('anyone', 'admins', 'listed')),
  listed     TEXT NOT NULL DEFAULT '[]', -- JSON list of keys of people, of senders `listed`
  cut        TEXT NOT NULL DEFAULT 'thread' CHECK (cut IN ('thread', 'chat', 'group')), -- one session for each …
  UNIQUE (chat_id, group_name)
) STRICT;
INSERT INTO wirings_new (id, chat_id, group_name, engage) SELECT id, chat_id, group_name, engage FROM wirings;
DROP TABLE wirings;
ALTER TABLE wirings_new RENAME TO wirings;

-- Where a wiring with `mention-sticky` listens on after a mention.
CREATE TABLE sticky (
  wiring_id INTEGER NOT NULL REFERENCES wirings (id) ON DELETE CASCADE,
  thread    TEXT NOT NULL,
  until_ms  INTEGER,                    -- NULL: until it is told to be quiet
  PRIMARY KEY (wiring_id, thread)
) STRICT, WITHOUT ROWID;

-- A session that is one for all chats of its group has the chat that it began in.
ALTER TABLE sessions ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
DROP INDEX sessions_open;
CREATE UNIQUE INDEX sessions_open ON sessions (group_name, chat_id, thread) WHERE closed_ms IS NULL AND shared = 0;
CREATE UNIQUE INDEX sessions_shared ON sessions (group_name) WHERE closed_ms IS NULL AND shared = 1;

-- A message that waits for a decision is judged again with what was known of it.
ALTER TABLE messages ADD COLUMN handle TEXT NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN addressed INTEGER NOT NULL DEFAULT 0;

-- 1: an ignored message that the next turn of its session is to show; then `turn_id` is that turn.
ALTER TABLE inbound ADD COLUMN context INTEGER NOT NULL DEFAULT 0;
CREATE INDEX inbound_context ON inbound (session_id, id) WHERE context = 1;

ALTER TABLE outbound ADD COLUMN buttons TEXT; -- JSON list of {token, label}; NULL: none

-- An approval of another kind than `egress` is a message that waits for a decision about its sender or its chat.
ALTER TABLE approvals ADD COLUMN subject TEXT NOT NULL DEFAULT ''; -- whom or what it is about
ALTER TABLE approvals ADD COLUMN code TEXT;                        -- what a person writes to decide
ALTER TABLE approvals ADD COLUMN message_id INTEGER REFERENCES messages (id);
ALTER TABLE approvals ADD COLUMN card_chat INTEGER REFERENCES chats (id); -- where it is shown; NULL: not yet
CREATE UNIQUE INDEX approvals_waiting ON approvals (kind, subject) WHERE state = 'pending' AND subject <> '';
CREATE UNIQUE INDEX approvals_code ON approvals (code) WHERE state = 'pending' AND code IS NOT NULL;
CREATE INDEX approvals_subject ON approvals (kind, subject, id) WHERE subject <> '';

-- What the buttons of a card carry: it means nothing anywhere else.
CREATE TABLE approval_tokens (
  token       TEXT PRIMARY KEY,
  approval_id INTEGER NOT NULL REFERENCES approvals (id),
  choice      TEXT NOT NULL             -- `approve`, `deny`, or the number of a choice
) STRICT, WITHOUT ROWID;

-- Codes that make whoever sends them a person. Only a code's hash is here.
CREATE TABLE pairings (
  id         INTEGER PRIMARY KEY,
  channel    TEXT NOT NULL,
  code_hash  TEXT NOT NULL,
  person_id  INTEGER REFERENCES people (id), -- who they are; NULL: somebody new
  role       TEXT CHECK (role IN ('owner', 'admin', 'member')), -- NULL: what the person has already
  group_name TEXT NOT NULL DEFAULT '',
  wire_group TEXT NOT NULL,             -- who answers in the chat that the code comes from
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms    INTEGER
) STRICT;
CREATE INDEX pairings_open ON pairings (channel) WHERE used_ms IS NULL;

-- How often somebody without a role has tried something, in a window of time.
CREATE TABLE tries (
  kind     TEXT NOT NULL CHECK (kind IN ('pair', 'public')),
  channel  TEXT NOT NULL,
  handle   TEXT NOT NULL,
  count    INTEGER NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, channel, handle)
) STRICT, WITHOUT ROWID;
