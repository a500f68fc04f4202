-- Nothing of the user waits to be planned any more.
DELETE FROM backlog WHERE user_id = :user
