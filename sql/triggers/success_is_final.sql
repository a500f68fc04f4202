CREATE TRIGGER success_is_final BEFORE UPDATE OF status ON processing_batch_status
WHEN old.status = 'SUCCESS' AND new.status <> 'SUCCESS'
BEGIN
  SELECT RAISE(ABORT, 'SUCCESS is final: a delivered batch is never sent again');
END
