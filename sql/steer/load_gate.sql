SELECT state, reason FROM gate
