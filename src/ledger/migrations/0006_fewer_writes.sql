-- Each page that a message touches is written to the disk before its sender is answered.

-- Nobody asks for the hops of one outbound row, and of a session only for those that belong to neither a message nor a turn.
DROP INDEX events_outbound;
DROP INDEX events_session;
CREATE INDEX events_session ON events (session_id, id)
  WHERE session_id IS NOT NULL AND turn_id IS NULL AND message_id IS NULL;

-- The transcript is taken into the index of its words by batches: transcript.ts.
DROP TRIGGER transcript_indexed;
