-- The beginning of an answer, shown in its chat while the turn still runs: at most one a turn, over all its attempts.
CREATE TABLE drafts (
  turn_id    INTEGER PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE,
  chat_id    INTEGER NOT NULL REFERENCES chats (id),
  thread     TEXT NOT NULL,
  reply_to   INTEGER REFERENCES messages (id) ON DELETE SET NULL,
  body       TEXT NOT NULL,               -- as it was sent first; what it says later is nobody's record
  key        TEXT NOT NULL UNIQUE,        -- idempotency key towards the platform
  -- `sending` → `shown` → `replaced`, by what the turn says in the end. `refused`: the platform does not take it, or not what
  -- replaces it. `uncertain`: it may be there, nobody knows under which name.
  state      TEXT NOT NULL CHECK (state IN ('sending', 'shown', 'replaced', 'refused', 'uncertain')),
  receipt    TEXT,
  updated_ms INTEGER NOT NULL,
  CHECK (state NOT IN ('shown', 'replaced') OR receipt IS NOT NULL)
) STRICT;
CREATE INDEX drafts_open ON drafts (turn_id) WHERE state IN ('sending', 'shown');
