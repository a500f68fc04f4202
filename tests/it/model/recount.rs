//! The slow way to the numbers of the views: every batch and every row of `undelivered_record` is read anew.
//!
//! The views read counts that triggers keep. Whatever happens to a file, both ways must lead to the same numbers.

use rusqlite::Connection;

/// Waiting, delivered, retrying, unknown, dead, batches done, batches open.
const USERS: &str = "
    WITH counted AS (
      SELECT user_id, records AS waiting, 0 AS delivered, 0 AS retrying, 0 AS unknown, 0 AS dead, 0 AS done, 0 AS open
        FROM backlog
      UNION ALL
      SELECT user_id, (status <> 'SUCCESS') * (batch_size - delivered_count - deleted_count), delivered_count, 0, 0, 0,
             status = 'SUCCESS', status <> 'SUCCESS'
        FROM processing_batch_status
      UNION ALL
      SELECT user_id, 0, pruned_delivered, 0, 0, 0, pruned_batches, 0 FROM user_cursor WHERE pruned_batches > 0
      UNION ALL
      SELECT user_id, -(state <> 'LATE' AND batch_id IS NOT NULL), 0, state = 'RETRY', state = 'UNKNOWN', state = 'DEAD', 0, 0
        FROM undelivered_record WHERE user_id IS NULL OR state <> 'LATE')
    SELECT user_id, max(sum(waiting), 0), sum(delivered), sum(retrying), sum(unknown), sum(dead), sum(done), sum(open)
      FROM counted GROUP BY user_id ORDER BY user_id";

const USERS_SEEN: &str =
    "SELECT user_id, waiting, delivered, retrying, unknown, dead, success_batches, open_batches
       FROM user_progress ORDER BY user_id";

const TOTAL: &str = "
    WITH
      left_over AS (
        SELECT (SELECT coalesce(sum(records), 0) FROM backlog)
             + (SELECT coalesce(sum(batch_size - delivered_count - deleted_count), 0) FROM processing_batch_status WHERE status <> 'SUCCESS')
             - (SELECT count(*) FROM undelivered_record WHERE state <> 'LATE' AND batch_id IS NOT NULL) AS records)
    SELECT max(records, 0),
           (SELECT coalesce(sum(delivered_count), 0) FROM processing_batch_status) + (SELECT coalesce(sum(pruned_delivered), 0) FROM user_cursor),
           (SELECT count(*) FROM undelivered_record WHERE state = 'RETRY'),
           (SELECT count(*) FROM undelivered_record WHERE state = 'UNKNOWN'),
           (SELECT count(*) FROM undelivered_record WHERE state = 'DEAD'),
           (SELECT count(*) FROM processing_batch_status WHERE status = 'PENDING'),
           (SELECT count(*) FROM processing_batch_status WHERE status = 'RUNNING'),
           (SELECT count(*) FROM processing_batch_status WHERE status = 'SUCCESS') + (SELECT coalesce(sum(pruned_batches), 0) FROM user_cursor),
           (SELECT count(*) FROM processing_batch_status WHERE status = 'FAILED'),
           (SELECT count(*) FROM processing_batch_status WHERE status = 'DEAD')
      FROM left_over";

const TOTAL_SEEN: &str =
    "SELECT waiting, delivered, retrying, unknown, dead, pending_batches, running_batches, success_batches, failed_batches, dead_batches
       FROM delivery_summary";

/// Since when the oldest record waits: by the batch that was planned first, for the clock may have been set back since.
const OLDEST: &str = "
    SELECT min(at) FROM (
      SELECT min(since) AS at FROM backlog
      UNION ALL
      SELECT created_at FROM processing_batch_status WHERE id = (SELECT min(id) FROM processing_batch_status WHERE status = 'PENDING')
      UNION ALL
      SELECT min(created_at) FROM processing_batch_status WHERE status = 'RUNNING')
     WHERE (SELECT waiting FROM delivery_summary) > 0";

const FAILED: &str = "SELECT id FROM processing_batch_status WHERE status IN ('FAILED', 'DEAD') ORDER BY last_attempt_at || '', id";

/// The users of `ferryd status`, by index and out of all.
const USERS_LISTED: (&str, &str) = (
    include_str!("../../../sql/look/users.sql"),
    include_str!("../../../sql/look/all_users.sql"),
);

/// What `ferryd audit` says about the counts.
const DIFFERENCES: [&str; 4] = [
    include_str!("../../../sql/audit/open_counts_differ.sql"),
    include_str!("../../../sql/audit/total_differs.sql"),
    include_str!("../../../sql/audit/totals_differ.sql"),
    include_str!("../../../sql/audit/offsets_have_gaps.sql"),
];

/// Fails unless the views say what a recount finds, and the audit has nothing to say against the counts.
#[track_caller]
pub fn assert_views_are_true(conn: &Connection) {
    assert_eq!(read(conn, USERS_SEEN), read(conn, USERS), "user_progress");
    assert_eq!(read(conn, TOTAL_SEEN), read(conn, TOTAL), "summary");
    let oldest = "SELECT oldest_waiting_at FROM delivery_summary";
    assert_eq!(read(conn, oldest), read(conn, OLDEST), "oldest");
    let mut failed = read(conn, "SELECT id FROM failed_batches");
    failed.reverse();
    assert_eq!(failed, read(conn, FAILED), "failed_batches");
    // So few users that `status` looks at all of them.
    let (fast, slow) = USERS_LISTED;
    let listed = |sql: &str| read(conn, &sql.replace(":users", "5"));
    assert_eq!(listed(fast), listed(slow), "users of status");
    for difference in DIFFERENCES {
        assert_eq!(read(conn, difference), Vec::<String>::new());
    }
}

/// The rows of a query, as text.
fn read(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare_cached(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values = (0..columns).map(|i| Ok(format!("{:?}", row.get_ref(i)?)));
        Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
