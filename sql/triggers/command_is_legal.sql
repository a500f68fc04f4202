CREATE TRIGGER command_is_legal BEFORE INSERT ON command
BEGIN
  SELECT RAISE(ABORT, 'unknown verb: use retry, pause, resume or plan')
   WHERE new.verb IS NULL OR new.verb NOT IN ('retry', 'pause', 'resume', 'plan');

  SELECT RAISE(ABORT, 'this verb takes no target')
   WHERE new.verb <> 'retry' AND new.target IS NOT NULL;

  SELECT RAISE(ABORT, 'retry needs a target: batch:N, user:N, record:N, dead or failed')
   WHERE new.verb = 'retry'
     AND new.target IS NOT 'dead' AND new.target IS NOT 'failed'
     AND NOT coalesce(
           new.target = 'batch:' || CAST(substr(new.target, 7) AS INTEGER)
        OR new.target = 'user:' || CAST(substr(new.target, 6) AS INTEGER)
        OR new.target = 'record:' || CAST(substr(new.target, 8) AS INTEGER), 0);

  SELECT RAISE(ABORT, 'done_at and result are the daemon''s to write')
   WHERE new.done_at IS NOT NULL OR new.result IS NOT NULL;
END
