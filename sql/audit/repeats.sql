-- Repeated: accepted again under the same key. Sent anew: accepted under another key, as a new row.
SELECT (SELECT coalesce(sum(times - 1), 0) FROM accepted) AS repeated,
       (SELECT count(*) FROM accepted) - (SELECT count(DISTINCT record) FROM accepted) AS sent_anew
