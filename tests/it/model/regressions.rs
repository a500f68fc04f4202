//! Lives that went wrong once. Two workers, batches of three records, pages of two.

use super::{Op, Reply, live};

/// Steps of a worker to whom the API says yes.
fn steps(worker: usize, count: usize) -> Vec<Op> {
    vec![Op::Step(worker, Reply::Accepts); count]
}

fn insert(id: i64, user: i64) -> Op {
    Op::Insert { id, user }
}

/// A fresh batch: claim, find nothing to send again, turn to the range, load a page.
const TO_FIRST_PAGE: usize = 4;

/// A batch of late rows: claim, load a page.
const TO_LATE_PAGE: usize = 2;

#[test]
fn a_delivered_late_row_is_not_blamed_for_the_failure_of_the_row_it_replaced() {
    let mut ops = vec![insert(1, 1), insert(2, 1), Op::Plan];
    ops.extend(steps(0, TO_FIRST_PAGE));
    ops.extend([Op::Replace { id: 2, user: 1 }, Op::Plan]);
    ops.extend(steps(1, TO_LATE_PAGE + 1));
    ops.extend([
        Op::Commit(1),
        Op::Step(0, Reply::Accepts),
        Op::Step(0, Reply::TryAgain),
        Op::Commit(0),
    ]);
    live(&ops);
}

#[test]
fn a_row_replaced_while_it_was_sent_again_is_not_blamed_for_that_failure() {
    let mut ops = vec![insert(1, 1), Op::Plan];
    ops.extend(steps(0, TO_FIRST_PAGE));
    ops.push(Op::Step(0, Reply::TryAgain));
    ops.extend(steps(0, 2));
    ops.push(Op::Clock(2));
    ops.extend(steps(0, 2));
    ops.extend([Op::Replace { id: 1, user: 1 }, Op::Plan]);
    ops.extend(steps(1, TO_LATE_PAGE + 1));
    ops.extend([Op::Commit(1), Op::Step(0, Reply::TryAgain), Op::Commit(0)]);
    live(&ops);
}

#[test]
fn a_row_replaced_while_it_was_sent_late_is_not_left_out_of_anything() {
    let mut ops = vec![insert(1, 1), insert(2, 1), Op::Plan];
    ops.extend(steps(0, 1));
    ops.extend([Op::Delete(1), insert(1, 1), Op::Plan]);
    ops.extend(steps(1, TO_LATE_PAGE + 1));
    ops.extend([Op::Delete(1), insert(1, 1), Op::Commit(1)]);
    ops.extend(steps(1, 4));
    ops.push(Op::Delete(1));
    live(&ops);
}

#[test]
fn a_row_that_another_user_got_while_its_late_forerunner_was_sent_is_not_lost() {
    let mut ops = vec![insert(1, 1), insert(2, 1), Op::Plan];
    ops.extend(steps(0, 1));
    ops.extend([Op::Delete(1), insert(1, 1), Op::Plan]);
    ops.extend(steps(1, TO_LATE_PAGE + 1));
    ops.extend([Op::Delete(1), insert(1, 2), Op::Commit(1), Op::Plan]);
    live(&ops);
}

#[test]
fn a_row_that_is_moved_onto_a_late_one_takes_its_place() {
    let mut ops = vec![insert(3, 1), insert(6, -3), Op::Plan];
    ops.extend(steps(0, TO_FIRST_PAGE + 1));
    ops.extend([
        Op::Commit(0),
        insert(1, 1),
        insert(2, -3),
        Op::SetId {
            id: 3,
            to: 2,
            replace: true,
        },
        Op::SetId {
            id: 6,
            to: 1,
            replace: true,
        },
    ]);
    live(&ops);
}

#[test]
fn a_row_that_is_moved_onto_a_delivered_one_is_not_taken_for_delivered() {
    let mut ops = vec![insert(1, 1), insert(2, 1), Op::Plan];
    ops.extend(steps(0, 1));
    ops.extend([Op::Replace { id: 2, user: 1 }, Op::Plan]);
    ops.extend(steps(1, TO_LATE_PAGE + 1));
    ops.extend([
        Op::Commit(1),
        insert(6, 2),
        Op::SetId {
            id: 6,
            to: 2,
            replace: true,
        },
        Op::Plan,
    ]);
    live(&ops);
}
