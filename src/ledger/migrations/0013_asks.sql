-- What agents ask people. An answer is kept for the attempt that asks for it, over deaths and restarts.
CREATE TABLE asks (
  id          INTEGER PRIMARY KEY,
  session_id  INTEGER NOT NULL REFERENCES sessions (id),
  turn_id     INTEGER NOT NULL REFERENCES turns (id),
  attempt     INTEGER NOT NULL,
  ordinal     INTEGER NOT NULL,            -- among the sends of the turn
  hash        TEXT NOT NULL,               -- of place, question and options: the same is never asked twice
  group_name  TEXT NOT NULL REFERENCES groups (name),
  chat_id     INTEGER NOT NULL REFERENCES chats (id),
  thread      TEXT NOT NULL,
  question    TEXT NOT NULL,
  options     TEXT NOT NULL,               -- JSON list; empty: any words are an answer
  code        TEXT NOT NULL,               -- what a person writes before an answer
  state       TEXT NOT NULL CHECK (state IN ('pending', 'answered', 'expired', 'cancelled')),
  reason      TEXT NOT NULL DEFAULT '',    -- of an end without an answer
  answer      TEXT,
  chosen      INTEGER,                     -- number of the option
  who         TEXT,                        -- what the one who answered is called
  person_id   INTEGER REFERENCES people (id),
  message_id  INTEGER REFERENCES messages (id), -- what answered it
  outbound_id INTEGER REFERENCES outbound (id), -- what shows it; NULL: about to be written
  minutes     REAL NOT NULL,
  created_ms  INTEGER NOT NULL,
  expires_ms  INTEGER NOT NULL,
  ended_ms    INTEGER,
  CHECK ((state = 'answered') = (answer IS NOT NULL)),
  CHECK ((state = 'pending') = (ended_ms IS NULL))
) STRICT;
CREATE INDEX asks_turn ON asks (turn_id, id);
CREATE INDEX asks_code ON asks (code, id);
CREATE INDEX asks_outbound ON asks (outbound_id);
CREATE INDEX asks_waiting ON asks (chat_id, id) WHERE state = 'pending';

-- A card beside its text: JSON; NULL: none.
ALTER TABLE outbound ADD COLUMN card TEXT;

-- What the buttons of an approval's card or of a question carry: it means nothing anywhere else.
CREATE TABLE button_tokens (
  token       TEXT PRIMARY KEY,
  approval_id INTEGER REFERENCES approvals (id),
  ask_id      INTEGER REFERENCES asks (id),
  choice      TEXT NOT NULL,               -- `approve`, `deny`, or the number of a choice
  CHECK ((approval_id IS NULL) <> (ask_id IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO button_tokens (token, approval_id, choice) SELECT token, approval_id, choice FROM approval_tokens;
DROP TABLE approval_tokens;
