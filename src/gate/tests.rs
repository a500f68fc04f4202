//! The gate by itself: what closes it, who may pass, what opens it.

mod reasons;

use super::*;
use crossbeam_channel::{Receiver, unbounded};

const RULES: Rules = Rules {
    failures: 3,
    probe_interval: Duration::from_millis(1),
    workers: 4,
    longest_hold: Duration::from_secs(3600),
};

fn open_gate(rules: Rules) -> (Gate, Receiver<Change>) {
    let (changes, receiver) = unbounded();
    let sign = Sign {
        state: State::Open,
        reason: None,
    };
    (
        Gate::new(rules, sign, Some(Duration::ZERO), changes),
        receiver,
    )
}

fn answer(verdict: Verdict, http_status: Option<u16>) -> Answer {
    Answer {
        verdict,
        http_status,
        message: "as it was told".into(),
    }
}

fn send(gate: &Gate, record: i64, verdict: Verdict, status: u16) -> Then {
    let permit = gate.try_pass().expect("the gate lets it pass");
    let answer = answer(verdict, Some(status));
    let then = gate.leave(permit, &answer);
    if verdict == Verdict::Dead && then == Then::Settle {
        gate.count_refusal(record, &answer);
    }
    then
}

/// Waits for the next probe, which is due in a millisecond.
fn probe(gate: &Gate) -> Permit<'_> {
    gate.wait();
    gate.try_pass().expect("a probe is due")
}

#[test]
fn a_refused_login_closes_it_at_once_and_the_record_keeps_its_place() {
    let (gate, changes) = open_gate(RULES);
    let then = send(&gate, 1, Verdict::DestinationFault, 401);
    assert_eq!(then, Then::Hold);
    assert_eq!(gate.sign().state, State::Closed);
    assert_eq!(changes.try_recv().unwrap().sign, gate.sign());
}

#[test]
fn failures_in_a_row_close_it_and_a_success_between_them_starts_anew() {
    let (gate, _changes) = open_gate(RULES);
    for _ in 0..5 {
        send(&gate, 1, Verdict::Unknown, 0);
        send(&gate, 1, Verdict::Retry(None), 500);
        send(&gate, 1, Verdict::Delivered, 200);
    }
    assert_eq!(gate.sign().state, State::Open);
    for status in [500, 429, 503] {
        assert_eq!(send(&gate, 1, Verdict::Retry(None), status), Then::Settle);
    }
    assert_eq!(gate.sign().state, State::Closed);
}

#[test]
fn what_comes_back_to_a_closed_gate_is_no_attempt() {
    let (gate, _changes) = open_gate(RULES);
    for verdict in [Verdict::Unknown, Verdict::Retry(None)] {
        send(&gate, 1, Verdict::DestinationFault, 401);
        let excused = gate.leave(probe(&gate), &answer(verdict, Some(500)));
        assert_eq!(excused, Then::Excuse);
        let success = gate.leave(probe(&gate), &answer(Verdict::Delivered, Some(200)));
        assert_eq!(success, Then::Settle);
    }
}

#[test]
fn a_conflict_is_the_records_own_and_does_not_close_it() {
    let (gate, _changes) = open_gate(RULES);
    for _ in 0..10 {
        send(&gate, 1, Verdict::Retry(None), 409);
    }
    assert_eq!(gate.sign().state, State::Open);
}

#[test]
fn one_probe_at_a_time_and_the_first_success_opens_it() {
    let (gate, _changes) = open_gate(RULES);
    send(&gate, 1, Verdict::DestinationFault, 403);
    let permit = probe(&gate);
    assert_eq!(gate.sign().state, State::Probing);
    assert!(gate.try_pass().is_none());
    gate.leave(permit, &answer(Verdict::DestinationFault, Some(403)));
    assert_eq!(gate.sign().state, State::Closed);
    let permit = probe(&gate);
    gate.leave(permit, &answer(Verdict::Delivered, Some(200)));
    assert_eq!(gate.sign().state, State::Open);
}

#[test]
fn workers_come_back_one_by_one_after_it_opened() {
    let (gate, _changes) = open_gate(RULES);
    send(&gate, 1, Verdict::DestinationFault, 403);
    let permit = probe(&gate);
    gate.leave(permit, &answer(Verdict::Delivered, Some(200)));
    let ok = answer(Verdict::Delivered, Some(200));
    let first = gate.try_pass().unwrap();
    assert!(gate.try_pass().is_none());
    gate.leave(first, &ok);
    let two = [gate.try_pass().unwrap(), gate.try_pass().unwrap()];
    assert!(gate.try_pass().is_none());
    for permit in two {
        gate.leave(permit, &ok);
    }
    let four: Vec<Permit> = std::iter::from_fn(|| gate.try_pass()).take(5).collect();
    assert_eq!(four.len(), 5, "wide open, it counts no more");
}

#[test]
fn retry_after_with_429_holds_everybody_that_long_and_no_longer_than_allowed() {
    let (gate, _changes) = open_gate(RULES);
    send(&gate, 1, Verdict::Retry(Some(Duration::MAX)), 429);
    let sign = gate.sign();
    assert_eq!(sign.state, State::Closed);
    assert!(sign.reason.unwrap().contains("asks to wait 3600 s"));
    assert!(gate.try_pass().is_none());
}

#[test]
fn everything_refused_alike_closes_it_and_names_the_records_to_revive() {
    let (gate, changes) = open_gate(RULES);
    assert_eq!(send(&gate, 7, Verdict::Dead, 422), Then::Settle);
    assert_eq!(send(&gate, 8, Verdict::Dead, 422), Then::Settle);
    assert_eq!(send(&gate, 9, Verdict::Dead, 422), Then::Settle);
    let change = changes.try_recv().unwrap();
    assert_eq!(change.revive, [7, 8, 9]);
    assert!(change.sign.reason.unwrap().contains("HTTP 422"));
    let refused = answer(Verdict::Dead, Some(422));
    gate.count_refusal(10, &refused);
    let change = changes.try_recv().unwrap();
    assert_eq!(
        change.revive,
        [10],
        "it was on its way when the gate closed"
    );
    let permit = probe(&gate);
    assert_eq!(gate.leave(permit, &refused), Then::Settle);
    gate.count_refusal(11, &refused);
    let revived: Vec<i64> = changes
        .try_iter()
        .flat_map(|change| change.revive)
        .collect();
    assert_eq!(revived, [11], "a probe goes back too");
}

#[test]
fn bad_records_among_good_ones_do_not_close_it() {
    let (gate, _changes) = open_gate(RULES);
    for record in 0..20 {
        send(&gate, record, Verdict::Dead, 422);
        send(&gate, record, Verdict::Dead, 400);
        send(&gate, record, Verdict::Delivered, 200);
    }
    assert_eq!(gate.sign().state, State::Open);
}

#[test]
fn a_pause_holds_and_a_resume_lets_go() {
    let (gate, _changes) = open_gate(RULES);
    gate.set_paused(true);
    assert_eq!(gate.sign().state, State::Paused);
    assert!(gate.try_pass().is_none());
    gate.set_paused(false);
    assert!(gate.try_pass().is_some());
}

#[test]
fn a_closed_gate_stays_closed_over_a_restart_and_is_probed_when_it_is_time() {
    let (changes, _receiver) = unbounded();
    let sign = Sign {
        state: State::Probing,
        reason: Some("HTTP 401".into()),
    };
    let early = Gate::new(
        RULES,
        sign.clone(),
        Some(Duration::from_secs(60)),
        changes.clone(),
    );
    assert!(early.try_pass().is_none());
    let gate = Gate::new(RULES, sign, Some(Duration::ZERO), changes);
    let _probe = gate.try_pass().expect("it is probed");
    assert!(gate.try_pass().is_none());
}

#[test]
fn a_permit_that_was_not_used_lets_the_next_probe_go() {
    let (gate, _changes) = open_gate(RULES);
    send(&gate, 1, Verdict::DestinationFault, 403);
    let permit = probe(&gate);
    drop(permit);
    assert!(gate.try_pass().is_some());
}

#[test]
fn a_permit_that_is_lost_in_a_panic_is_given_back() {
    let (gate, _changes) = open_gate(RULES);
    for _ in 0..10 {
        send(&gate, 1, Verdict::Unknown, 0);
        drop(gate.try_pass());
        send(&gate, 1, Verdict::DestinationFault, 403);
        let panicking = std::panic::AssertUnwindSafe(|| {
            let _probe = probe(&gate);
            std::panic::resume_unwind(Box::new("the request panicked"));
        });
        assert!(std::panic::catch_unwind(panicking).is_err());
        let permit = probe(&gate);
        gate.leave(permit, &answer(Verdict::Delivered, Some(200)));
    }
    assert_eq!(gate.sign().state, State::Open);
}

#[test]
fn a_stop_lets_everybody_go_who_waits() {
    let (gate, _changes) = open_gate(RULES);
    gate.set_paused(true);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| gate.wait());
        gate.stop();
        waiting.join().unwrap();
    });
}

#[test]
fn permits_that_were_counted_are_given_back_when_all_is_calm_again() {
    let (gate, _changes) = open_gate(RULES);
    let ok = answer(Verdict::Delivered, Some(200));
    for _ in 0..10 {
        send(&gate, 1, Verdict::Unknown, 0);
        let held: Vec<Permit<'_>> = std::iter::from_fn(|| gate.try_pass()).take(3).collect();
        send(&gate, 1, Verdict::Delivered, 200);
        for permit in held {
            gate.leave(permit, &ok);
        }
    }
    send(&gate, 1, Verdict::Unknown, 0);
    let all: Vec<Permit> = std::iter::from_fn(|| gate.try_pass()).collect();
    assert_eq!(all.len(), 4, "as many as there are workers");
}

const FAULT: &str = "the disk is full";

#[test]
fn a_fault_of_this_machine_lets_nobody_pass_not_even_a_probe_until_it_ends() {
    let (gate, changes) = open_gate(RULES);
    gate.set_local_fault(Some(FAULT.into()));
    assert!(gate.try_pass().is_none());
    let change = changes.try_recv().unwrap();
    assert_eq!(change.sign.state, State::Closed);
    assert_eq!(change.sign.reason.as_deref(), Some(FAULT));
    assert_eq!(change.probe_in, None);
    gate.set_local_fault(None);
    assert!(gate.try_pass().is_some());
}

#[test]
fn a_fault_of_this_machine_is_kept_over_a_restart_and_needs_no_probe_to_end() {
    let (changes, receiver) = unbounded();
    let sign = Sign {
        state: State::Closed,
        reason: Some(FAULT.into()),
    };
    let gate = Gate::new(RULES, sign, None, changes);
    assert!(gate.try_pass().is_none());
    gate.set_local_fault(Some(FAULT.into()));
    assert!(receiver.try_recv().is_err(), "nothing has changed");
    gate.set_local_fault(None);
    assert_eq!(receiver.try_recv().unwrap().sign.state, State::Open);
}

#[test]
fn a_pause_shows_through_a_fault_of_this_machine_and_outlives_it() {
    let (gate, changes) = open_gate(RULES);
    gate.set_paused(true);
    gate.set_local_fault(Some(FAULT.into()));
    let sign = gate.sign();
    assert_eq!(sign.state, State::Paused);
    assert_eq!(
        sign.reason.unwrap(),
        format!("paused by an operator; {FAULT}")
    );
    let last = changes.try_iter().last().unwrap();
    let (sender, _receiver) = unbounded();
    let restarted = Gate::new(RULES, last.sign, last.probe_in, sender);
    restarted.set_local_fault(None);
    assert_eq!(restarted.sign().state, State::Paused);
}

#[test]
fn a_shortage_of_connections_lets_fewer_pass_and_closes_it_only_when_none_is_left() {
    let (gate, _changes) = open_gate(RULES);
    let shortage = answer(Verdict::Shortage, None);
    for _ in 0..2 {
        let permit = gate.try_pass().unwrap();
        assert_eq!(gate.leave(permit, &shortage), Then::Hold);
    }
    assert_eq!(gate.sign().state, State::Open);
    let one = gate.try_pass().unwrap();
    assert!(gate.try_pass().is_none(), "one at a time");
    gate.leave(one, &answer(Verdict::Delivered, Some(200)));
    let two = [gate.try_pass().unwrap(), gate.try_pass().unwrap()];
    for permit in two {
        gate.leave(permit, &shortage);
    }
    assert_eq!(gate.sign().state, State::Closed);
    assert_eq!(gate.sign().reason.unwrap(), "as it was told");
    let permit = probe(&gate);
    gate.leave(permit, &shortage);
    let permit = probe(&gate);
    gate.leave(permit, &answer(Verdict::Delivered, Some(200)));
    assert_eq!(gate.sign().state, State::Open);
}

#[test]
fn a_shortage_is_looked_at_again_soon_however_long_the_interval() {
    let hour = Rules {
        probe_interval: Duration::from_secs(3600),
        workers: 1,
        ..RULES
    };
    let (gate, changes) = open_gate(hour);
    send(&gate, 1, Verdict::Shortage, 0);
    let change = changes.try_recv().unwrap();
    assert!(change.probe_in.unwrap() <= Duration::from_secs(1));
}

#[test]
fn a_start_that_finds_pause_and_fault_as_they_were_changes_nothing() {
    let (changes, changed) = unbounded();
    let reason = format!("{PAUSED}; the disk is full");
    let sign = Sign {
        state: State::Paused,
        reason: Some(reason),
    };
    let gate = Gate::new(RULES, sign, None, changes);
    gate.set_local_fault(Some("the disk is full".into()));
    assert!(changed.try_recv().is_err(), "the same is no news");
    gate.set_local_fault(None);
    let change = changed.try_recv().unwrap();
    assert_eq!(change.sign.reason.as_deref(), Some(PAUSED));
    assert_eq!(change.sign.state, State::Paused);
}

#[test]
fn new_rules_hold_from_the_next_answer_on_and_a_closed_gate_may_be_probed_at_once() {
    let (gate, _changes) = open_gate(RULES);
    send(&gate, 1, Verdict::Retry(None), 500);
    gate.set_rules(Rules {
        failures: 2,
        probe_interval: Duration::from_secs(3600),
        ..RULES
    });
    assert_eq!(gate.sign().state, State::Open);
    send(&gate, 1, Verdict::Retry(None), 500);
    assert_eq!(gate.sign().state, State::Closed);
    assert!(gate.try_pass().is_none());
    gate.probe_at_once();
    drop(gate.try_pass().expect("a probe is due"));
    gate.set_paused(true);
    gate.probe_at_once();
    assert!(gate.try_pass().is_none());
}
