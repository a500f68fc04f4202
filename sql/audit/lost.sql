-- A record that the file calls delivered was accepted.
SELECT 'record ' || id || ' of user ' || user_id || ' counts as delivered, but the journal has no 2xx for it' AS found
  FROM record_place
 WHERE place = 'DELIVERED' AND NOT EXISTS (SELECT 1 FROM accepted WHERE record = record_place.id)
