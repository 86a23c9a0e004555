-- What a chat shows and takes back: dialects, edits, deletions, reactions.

ALTER TABLE outbound ADD COLUMN source TEXT; -- the Markdown that `body` says in its platform's dialect, '': the same; NULL: `body` is words, written in the dialect when it is sent
ALTER TABLE outbound ADD COLUMN act TEXT NOT NULL DEFAULT 'send' CHECK (act IN ('send', 'react')); -- `react`: `body` goes under the message `reply_to`

ALTER TABLE messages ADD COLUMN edited_ms INTEGER NOT NULL DEFAULT 0; -- the platform's time of the edit that `text` is; 0: as it came

-- What people did to a message after it came. The same key is the same event.
CREATE TABLE changes (
  id          INTEGER PRIMARY KEY,
  dedupe_key  TEXT NOT NULL UNIQUE,
  kind        TEXT NOT NULL CHECK (kind IN ('edited', 'deleted', 'reacted')),
  message_id  INTEGER REFERENCES messages (id), -- NULL: of a message that is not known here
  old_text    TEXT,                             -- what an edit has replaced
  received_ms INTEGER NOT NULL
) STRICT;
