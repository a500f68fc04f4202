-- SUCCESS is final: its records are delivered as its range says, and none of them has to be left out of it any more.
CREATE TRIGGER batch_succeeds AFTER UPDATE OF status ON processing_batch_status
WHEN new.status = 'SUCCESS' AND old.status <> 'SUCCESS'
BEGIN
  DELETE FROM left_out
   WHERE new.kind = 'RANGE' AND user_id = new.user_id AND record_id BETWEEN new.start_id AND new.end_id;
END
