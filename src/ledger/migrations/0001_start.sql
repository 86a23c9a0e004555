-- The first shape of the ledger. STRICT everywhere; times are milliseconds since the epoch unless a name says otherwise.

CREATE TABLE groups (
  name       TEXT PRIMARY KEY,
  uid        INTEGER UNIQUE,            -- host uid of its sandboxes, where the host runs as root; never reused
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE people (
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE identities (
  channel   TEXT NOT NULL,
  handle    TEXT NOT NULL,              -- the platform's own, stable id of the person
  person_id INTEGER NOT NULL REFERENCES people (id),
  PRIMARY KEY (channel, handle)
) STRICT;

CREATE TABLE roles (
  person_id  INTEGER NOT NULL REFERENCES people (id),
  role       TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  group_name TEXT NOT NULL DEFAULT '',  -- '' is every group
  PRIMARY KEY (person_id, role, group_name)
) STRICT;

CREATE TABLE chats (
  id          INTEGER PRIMARY KEY,
  channel     TEXT NOT NULL,
  platform_id TEXT NOT NULL,
  title       TEXT NOT NULL,
  created_ms  INTEGER NOT NULL,
  UNIQUE (channel, platform_id)
) STRICT;

CREATE TABLE wirings (
  id         INTEGER PRIMARY KEY,
  chat_id    INTEGER NOT NULL REFERENCES chats (id),
  group_name TEXT NOT NULL REFERENCES groups (name),
  engage     TEXT NOT NULL CHECK (engage IN ('always', 'mention')),
  UNIQUE (chat_id, group_name)
) STRICT;

CREATE TABLE sessions (
  id                 INTEGER PRIMARY KEY,
  group_name         TEXT NOT NULL REFERENCES groups (name),
  chat_id            INTEGER NOT NULL REFERENCES chats (id),
  thread             TEXT NOT NULL DEFAULT '',
  harness            TEXT,              -- which harness wrote `resume`
  resume             TEXT,              -- the harness's own resume point of the last settled turn, opaque to the host
  created_ms         INTEGER NOT NULL,
  closed_ms          INTEGER
) STRICT;
CREATE UNIQUE INDEX sessions_open ON sessions (group_name, chat_id, thread) WHERE closed_ms IS NULL;

-- The platform's fact, once.
CREATE TABLE messages (
  id          INTEGER PRIMARY KEY,
  dedupe_key  TEXT NOT NULL UNIQUE,
  chat_id     INTEGER NOT NULL REFERENCES chats (id),
  thread      TEXT NOT NULL DEFAULT '',
  person_id   INTEGER REFERENCES people (id), -- NULL: a sender nobody knows
  sender      TEXT NOT NULL,                  -- display name at that time
  platform_id TEXT NOT NULL,
  text        TEXT NOT NULL,
  sent_ms     INTEGER NOT NULL,               -- the platform's time
  received_ms INTEGER NOT NULL
) STRICT;

-- One row for each session that is to handle the message, or exactly one without session if none does.
CREATE TABLE inbound (
  id         INTEGER PRIMARY KEY,
  message_id INTEGER NOT NULL REFERENCES messages (id),
  session_id INTEGER REFERENCES sessions (id),
  state      TEXT NOT NULL CHECK (state IN ('queued', 'running', 'answered', 'silent', 'ignored', 'held', 'cancelled', 'failed')),
  reason     TEXT NOT NULL DEFAULT '',  -- which rule ignored it, which approval holds it, who cancelled it, why it failed
  turn_id    INTEGER REFERENCES turns (id),
  deaths     INTEGER NOT NULL DEFAULT 0, -- of sandboxes while they had this message
  alone      INTEGER NOT NULL DEFAULT 0, -- 1: it was in a batch that died; it now runs by itself
  updated_ms INTEGER NOT NULL,
  UNIQUE (message_id, session_id)
) STRICT;
CREATE INDEX inbound_open ON inbound (session_id, id) WHERE state IN ('queued', 'running');
CREATE UNIQUE INDEX inbound_sessionless ON inbound (message_id) WHERE session_id IS NULL;
CREATE INDEX inbound_turn ON inbound (turn_id);

CREATE TABLE turns (
  id         INTEGER PRIMARY KEY,
  session_id INTEGER NOT NULL REFERENCES sessions (id),
  state      TEXT NOT NULL CHECK (state IN ('running', 'waiting', 'settled', 'failed', 'split', 'cancelled')),
  attempt    INTEGER NOT NULL,          -- counts every run of it
  deaths     INTEGER NOT NULL,          -- counts the runs that its own sandbox ended: the limit is on these
  harness    TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms   INTEGER,
  error      TEXT
) STRICT;
CREATE UNIQUE INDEX turns_open ON turns (session_id) WHERE state IN ('running', 'waiting');

-- Every turn that a row was ever part of: later attempts are told what earlier ones did.
CREATE TABLE turn_inbound (
  turn_id    INTEGER NOT NULL REFERENCES turns (id),
  inbound_id INTEGER NOT NULL REFERENCES inbound (id),
  PRIMARY KEY (turn_id, inbound_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX turn_inbound_of ON turn_inbound (inbound_id);

CREATE TABLE outbound (
  id            INTEGER PRIMARY KEY,
  chat_id       INTEGER NOT NULL REFERENCES chats (id),
  thread        TEXT NOT NULL DEFAULT '',
  kind          TEXT NOT NULL CHECK (kind IN ('reply', 'send', 'notice')),
  session_id    INTEGER REFERENCES sessions (id),
  turn_id       INTEGER REFERENCES turns (id),
  attempt       INTEGER NOT NULL DEFAULT 0, -- of the turn, that wrote it
  ordinal       INTEGER NOT NULL DEFAULT 0, -- 0: the reply; 1…: the sends of the turn in their order
  chunk         INTEGER NOT NULL DEFAULT 0,
  send_hash     TEXT NOT NULL DEFAULT '',   -- of the whole send before it was cut into chunks
  reply_to      INTEGER REFERENCES messages (id),
  body          TEXT NOT NULL,
  key           TEXT NOT NULL UNIQUE,       -- idempotency key towards the platform
  state         TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'retry', 'sent', 'rejected', 'uncertain', 'held')),
  attempts      INTEGER NOT NULL DEFAULT 0,
  not_before_ms INTEGER NOT NULL DEFAULT 0,
  receipt       TEXT,
  error         TEXT,
  created_ms    INTEGER NOT NULL,
  updated_ms    INTEGER NOT NULL,
  UNIQUE (turn_id, ordinal, attempt, chunk)
) STRICT;
CREATE INDEX outbound_open ON outbound (chat_id, id) WHERE state IN ('queued', 'sending', 'retry');
CREATE INDEX outbound_chat ON outbound (chat_id, id);

-- The conversation in words that belong to no harness, so that any harness can take over.
CREATE TABLE transcript (
  id         INTEGER PRIMARY KEY,
  session_id INTEGER NOT NULL REFERENCES sessions (id),
  turn_id    INTEGER REFERENCES turns (id),
  role       TEXT NOT NULL CHECK (role IN ('person', 'agent', 'tool', 'notice')),
  author     TEXT NOT NULL DEFAULT '',
  text       TEXT NOT NULL,
  unseen     INTEGER NOT NULL DEFAULT 0, -- 1: a notice that no settled turn has been shown
  at_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX transcript_unseen ON transcript (session_id) WHERE unseen = 1;
CREATE INDEX transcript_session ON transcript (session_id, id);
CREATE VIRTUAL TABLE transcript_text USING fts5 (text, content = 'transcript', content_rowid = 'id');
CREATE TRIGGER transcript_indexed AFTER INSERT ON transcript BEGIN
  INSERT INTO transcript_text (rowid, text) VALUES (new.id, new.text);
END;

CREATE TABLE approvals (
  id          INTEGER PRIMARY KEY,
  kind        TEXT NOT NULL,
  object_hash TEXT NOT NULL,            -- of the exact object that is done on approval
  object      TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'done')),
  asked_by    TEXT NOT NULL,
  decided_by  INTEGER REFERENCES people (id),
  created_ms  INTEGER NOT NULL,
  expires_ms  INTEGER NOT NULL,
  decided_ms  INTEGER
) STRICT;

CREATE TABLE alerts (
  id         INTEGER PRIMARY KEY,
  kind       TEXT NOT NULL,
  subject    TEXT NOT NULL,
  text       TEXT NOT NULL,
  count      INTEGER NOT NULL DEFAULT 1,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  cleared_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX alerts_open ON alerts (kind, subject) WHERE cleared_ms IS NULL;

-- The hops. Append-only.
CREATE TABLE events (
  id          INTEGER PRIMARY KEY,
  at_us       INTEGER NOT NULL,         -- microseconds since the epoch
  kind        TEXT NOT NULL,
  message_id  INTEGER,
  session_id  INTEGER,
  turn_id     INTEGER,
  outbound_id INTEGER,
  data        TEXT NOT NULL             -- JSON object
) STRICT;
CREATE INDEX events_message ON events (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX events_turn ON events (turn_id) WHERE turn_id IS NOT NULL;
CREATE INDEX events_outbound ON events (outbound_id) WHERE outbound_id IS NOT NULL;
CREATE INDEX events_session ON events (session_id, id) WHERE session_id IS NOT NULL;
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT raise(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT raise(ABORT, 'events are append-only'); END;

CREATE TABLE cursors (
  channel TEXT NOT NULL,
  name    TEXT NOT NULL,
  value   TEXT NOT NULL,
  PRIMARY KEY (channel, name)
) STRICT;
