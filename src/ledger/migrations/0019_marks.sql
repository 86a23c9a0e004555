-- What a conversation has seen and done, for the rule of two. Only added to: a new conversation is a new session.
CREATE TABLE marks (
  session_id INTEGER NOT NULL REFERENCES sessions (id),
  mark       TEXT NOT NULL CHECK (mark IN ('A', 'B', 'C')), -- saw what anybody may have written, read what is private, acted outside
  cause      TEXT NOT NULL,                                 -- `m12`, `GET api.example.com/items`, `mount /mnt/notes`, `h4`
  at_ms      INTEGER NOT NULL,
  PRIMARY KEY (session_id, mark)
) STRICT, WITHOUT ROWID;

-- 1: it passes on what others wrote, as its platform says.
ALTER TABLE messages ADD COLUMN forwarded INTEGER NOT NULL DEFAULT 0;
