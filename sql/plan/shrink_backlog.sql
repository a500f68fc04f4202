-- Some of the user's records are planned now. At least one must stay counted, for more of them wait.
UPDATE backlog SET records = max(records - :planned, 1) WHERE user_id = :user
