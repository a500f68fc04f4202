-- Without its batch a record that is not delivered would pass for one that is.
CREATE TRIGGER only_success_goes BEFORE DELETE ON processing_batch_status
WHEN old.status <> 'SUCCESS'
BEGIN
  SELECT RAISE(ABORT, 'only SUCCESS batches may be deleted: this one holds records that are not delivered');
END
