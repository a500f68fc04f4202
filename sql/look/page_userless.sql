-- Records that are dead because their user_id is no whole number.
SELECT userless FROM delivery_total
