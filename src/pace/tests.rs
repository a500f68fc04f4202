use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

fn rules() -> Rules {
    Rules::default()
}

fn answer(verdict: Verdict, http_status: Option<u16>) -> Answer {
    Answer {
        verdict,
        http_status,
        message: String::new(),
    }
}

#[test]
fn without_rules_there_is_nothing_to_lock() {
    let pace = Pace::new(&rules(), 10);
    assert!(!pace.slots.are_limited() && !pace.places.are_limited());
    // As many as there are workers is no limit either.
    let max_in_flight = 10;
    let pace = Pace::new(
        &Rules {
            max_in_flight,
            ..rules()
        },
        10,
    );
    assert!(!pace.places.are_limited());
}

#[test]
fn never_more_are_under_way_than_allowed_and_nobody_is_forgotten() {
    let (_source, stop) = Stop::new();
    let max_in_flight = 3;
    let pace = Pace::new(
        &Rules {
            max_in_flight,
            ..rules()
        },
        8,
    );
    let (under_way, most) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let flight = pace.await_turn(&stop).unwrap().begin();
                    most.fetch_max(
                        under_way.fetch_add(1, Ordering::SeqCst) + 1,
                        Ordering::SeqCst,
                    );
                    std::thread::yield_now();
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    flight.end(&answer(Verdict::Delivered, Some(200)));
                }
            });
        }
    });
    assert_eq!(most.into_inner(), 3);
    assert_eq!(pace.places.free.len(), 3);
}

#[test]
fn a_turn_or_a_flight_that_is_dropped_gives_its_place_back_also_in_a_panic() {
    let (_source, stop) = Stop::new();
    let max_in_flight = 1;
    let pace = Pace::new(
        &Rules {
            max_in_flight,
            ..rules()
        },
        8,
    );
    drop(pace.await_turn(&stop));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _flight = pace.await_turn(&stop).map(Turn::begin);
        panic!("in a request");
    }));
    assert!(panicked.is_err());
    assert!(pace.await_turn(&stop).is_some());
}

#[test]
fn a_turn_that_is_not_used_takes_no_slot_of_the_rate() {
    let (_source, stop) = Stop::new();
    let interval = Some(Duration::from_secs(3600));
    let pace = Pace::new(
        &Rules {
            interval,
            ..rules()
        },
        8,
    );
    for _ in 0..3 {
        drop(pace.await_turn(&stop));
    }
    let turn = pace.await_turn(&stop).unwrap();
    assert!(turn.waited() < Duration::from_secs(60));
}

#[test]
fn the_stop_ends_every_wait_at_once() {
    let interval = Some(Duration::from_secs(3600));
    let max_in_flight = 1;
    for rules in [
        Rules {
            interval,
            ..rules()
        },
        Rules {
            max_in_flight,
            ..rules()
        },
    ] {
        let (source, stop) = Stop::new();
        let pace = Pace::new(&rules, 8);
        let _flight = pace.await_turn(&stop).unwrap().begin();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| pace.await_turn(&stop).is_none()))
                .collect();
            drop(source);
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
        });
    }
}

#[test]
fn an_adaptive_pace_lets_more_in_when_answers_are_good_and_fewer_when_they_are_refusals() {
    let (_source, stop) = Stop::new();
    let pace = Pace::new(
        &Rules {
            adaptive: true,
            ..rules()
        },
        8,
    );
    let free = || pace.places.free.len();
    assert_eq!(free(), 1);
    for _ in 0..20 {
        let flights: Vec<_> = (0..free())
            .map(|_| pace.await_turn(&stop).unwrap().begin())
            .collect();
        for flight in flights {
            flight.end(&answer(Verdict::Delivered, Some(200)));
        }
    }
    assert_eq!(free(), 8);
    for _ in 0..2 {
        let flight = pace.await_turn(&stop).unwrap().begin();
        flight.end(&answer(Verdict::Retry(None), Some(429)));
    }
    assert_eq!(free(), 1);
}

#[test]
fn one_too_many_is_a_refusal_beside_others_without_a_time_to_wait() {
    let (_source, stop) = Stop::new();
    let refused = answer(Verdict::Retry(None), Some(429));
    let told = answer(Verdict::Retry(Some(Duration::ZERO)), Some(429));
    let failed = answer(Verdict::Retry(None), Some(500));
    let accepted = answer(Verdict::Delivered, Some(200));
    for (adaptive, max_in_flight) in [(true, 0), (false, 4)] {
        let rules = Rules {
            adaptive,
            max_in_flight,
            ..rules()
        };
        let pace = Pace::new(&rules, 8);
        let begin = || pace.await_turn(&stop).unwrap().begin();
        assert!(!begin().end(&refused), "alone");
        for _ in 0..20 {
            begin().end(&accepted);
        }
        let beside = begin();
        assert!(!begin().end(&failed) && !begin().end(&told));
        assert_eq!(begin().end(&refused), adaptive);
        drop(beside);
    }
}

#[test]
fn what_says_nothing_about_the_load_is_not_taken_for_a_sign() {
    for (verdict, status, sign) in [
        (Verdict::Delivered, Some(200), Sign::Good),
        (Verdict::Retry(None), Some(429), Sign::Refused),
        (Verdict::Retry(None), Some(503), Sign::Refused),
        (Verdict::DestinationFault, Some(429), Sign::Refused),
        (Verdict::Unknown, None, Sign::Refused),
        (Verdict::NotSent, None, Sign::Nothing),
        (Verdict::Retry(None), Some(500), Sign::Nothing),
        (Verdict::Dead, Some(422), Sign::Nothing),
    ] {
        assert_eq!(sign_of(&answer(verdict, status)), sign, "{verdict:?}");
    }
}

#[test]
fn who_waits_for_a_slot_or_a_place_goes_by_new_rules() {
    let (_source, stop) = Stop::new();
    let strict = Rules {
        interval: Some(Duration::from_secs(3600)),
        max_in_flight: 1,
        ..rules()
    };
    for new in [
        rules(),
        Rules {
            interval: Some(Duration::from_millis(1)),
            max_in_flight: 4,
            ..rules()
        },
    ] {
        let pace = Pace::new(&strict, 4);
        let first = pace.await_turn(&stop).unwrap().begin();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| pace.await_turn(&stop).map(Turn::begin).is_some()))
                .collect();
            pace.set_rules(&new);
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
        });
        drop(first);
        pace.set_rules(&strict);
        let places = &pace.places;
        assert!(places.are_limited() && places.free.len() == 1);
    }
}

#[test]
fn rules_that_are_set_again_allow_no_further_burst() {
    let (_source, stop) = Stop::new();
    let rules = Rules {
        interval: Some(Duration::from_secs(3600)),
        burst: 2,
        ..rules()
    };
    let pace = Pace::new(&rules, 4);
    for _ in 0..2 {
        drop(pace.await_turn(&stop).map(Turn::begin));
    }
    let wait = || {
        lock(&pace.slots.rate)
            .as_ref()
            .unwrap()
            .wait(Instant::now())
    };
    pace.set_rules(&rules);
    assert!(pace.slots.given.is_empty() && wait() > Duration::from_secs(3000));
}
