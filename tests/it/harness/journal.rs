//! A journal that the file itself keeps: what a batch went through, with nothing missed between two looks.

use super::Site;

/// A change of a batch's status, as the file itself noted it.
#[derive(Debug, Clone)]
pub struct Change {
    pub batch: i64,
    pub status: String,
    /// From the end of the attempt to the next one, in seconds, of a FAILED batch.
    pub delay: Option<f64>,
    /// How late it was taken up, in seconds, when it was FAILED before.
    pub late: Option<f64>,
    /// RUNNING batches in the whole file.
    pub running: i64,
    /// PENDING batches in the whole file.
    pub pending: i64,
}

impl Site {
    /// Lets the file note every change of a batch's status from here on; nothing is missed between two looks.
    pub fn keep_journal(&self) {
        const NOTE: &str = "INSERT INTO journal
            SELECT NULL, new.id, new.status,
                   (julianday(new.next_attempt_at) - julianday(new.last_attempt_at)) * 86400,
                   count(CASE status WHEN 'RUNNING' THEN 1 END), count(CASE status WHEN 'PENDING' THEN 1 END)";
        let sql = format!(
            "CREATE TABLE journal (n INTEGER PRIMARY KEY, batch, status, delay, running, pending, late);
             CREATE TRIGGER journal_of_plans AFTER INSERT ON processing_batch_status
             BEGIN {NOTE}, NULL FROM processing_batch_status; END;
             CREATE TRIGGER journal_of_changes AFTER UPDATE OF status ON processing_batch_status
             BEGIN {NOTE}, (julianday('now') - julianday(old.next_attempt_at)) * 86400
              FROM processing_batch_status; END;"
        );
        self.connect().execute_batch(&sql).unwrap();
    }

    /// What the journal has noted so far.
    pub fn journal(&self) -> Vec<Change> {
        let conn = self.connect();
        let sql = "SELECT batch, status, delay, late, running, pending FROM journal ORDER BY n";
        let mut statement = conn.prepare(sql).unwrap();
        let changes = statement.query_map([], |row| {
            Ok(Change {
                batch: row.get(0)?,
                status: row.get(1)?,
                delay: row.get(2)?,
                late: row.get(3)?,
                running: row.get(4)?,
                pending: row.get(5)?,
            })
        });
        changes.unwrap().map(Result::unwrap).collect()
    }
}
