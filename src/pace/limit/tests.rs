//! The limiter against make-believe APIs, on a make-believe clock: workers that always have something to send.

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// What an API makes of a request: it may look at the time since the start, at how many are under way with this one, and
/// at a number from 0 to 1 that is different for each request.
type Api<'a> = &'a dyn Fn(Duration, u32, f64) -> (Duration, Sign);

struct World {
    start: Instant,
    now: Instant,
    under_way: Vec<Sample>,
    chance: u64,
}

impl World {
    fn new() -> World {
        let start = Instant::now();
        World {
            start,
            now: start,
            under_way: Vec::new(),
            chance: 1,
        }
    }

    fn chance(&mut self) -> f64 {
        // The multiplier of Knuth's MMIX generator.
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 40) as f64 / (1_u64 << 24) as f64
    }

    /// Sends for a while with at most `workers` at a time, as far as the limit allows.
    fn run(
        &mut self,
        limiter: &mut Limit<'_>,
        workers: u32,
        time: Duration,
        api: Api<'_>,
    ) -> Tally {
        let end = self.now + time;
        let mut tally = Tally::default();
        loop {
            while (self.under_way.len() as u32) < limiter.now().min(workers) {
                let beside = self.under_way.len() as u32 + 1;
                let chance = self.chance();
                let (time, sign) = api(self.now - self.start, beside, chance);
                let time = time + MS * (chance * 3.0) as u32 / 2;
                self.under_way.push(Sample {
                    begun: self.now,
                    ended: self.now + time,
                    beside,
                    taken: beside,
                    sign,
                });
            }
            let first = (0..self.under_way.len()).min_by_key(|i| self.under_way[*i].ended);
            let sample = self.under_way[first.unwrap()];
            if sample.ended >= end {
                self.now = end;
                return tally;
            }
            self.under_way.swap_remove(first.unwrap());
            self.now = sample.ended;
            match sample.sign {
                Sign::Good => tally.good += 1,
                _ => tally.refused += 1,
            }
            limiter.note(&sample);
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    good: u32,
    refused: u32,
}

enum Limit<'a> {
    Fixed(u32),
    Adaptive(&'a mut Limiter),
}

impl Limit<'_> {
    fn now(&self) -> u32 {
        match self {
            Limit::Fixed(limit) => *limit,
            Limit::Adaptive(limiter) => limiter.limit(),
        }
    }

    fn note(&mut self, sample: &Sample) {
        if let Limit::Adaptive(limiter) = self {
            limiter.note(sample);
        }
    }
}

fn adaptive(limiter: &mut Limiter, world: &mut World, time: Duration, api: Api<'_>) -> Tally {
    let workers = limiter.most;
    world.run(&mut Limit::Adaptive(limiter), workers, time, api)
}

/// What the adaptive limit reaches of the best fixed one, from the start, in `time`.
fn share_of_the_best(most: u32, time: Duration, api: Api<'_>) -> f64 {
    let mut limiter = Limiter::new(most);
    let reached = adaptive(&mut limiter, &mut World::new(), time, api);
    let fixed = |n| World::new().run(&mut Limit::Fixed(n), n, time, api).good;
    let numbers = [1, 2, 4, 10, 20, 21, 30, 64];
    let best = numbers
        .into_iter()
        .filter(|n| *n <= most)
        .map(fixed)
        .max()
        .unwrap();
    println!("limit={} reached={reached:?} best={best}", limiter.limit());
    f64::from(reached.good) / f64::from(best)
}

fn quick(_: Duration, _: u32, _: f64) -> (Duration, Sign) {
    (50 * MS, Sign::Good)
}

fn refusing_above(most: u32, beside: u32) -> (Duration, Sign) {
    match beside > most {
        true => (MS, Sign::Refused),
        false => (50 * MS, Sign::Good),
    }
}

/// An API that works on `at_a_time` requests and lets the others wait.
fn queueing(at_a_time: u32, beside: u32) -> (Duration, Sign) {
    (50 * MS * beside.max(at_a_time) / at_a_time, Sign::Good)
}

#[test]
fn an_api_that_takes_all_gets_all() {
    for most in [1, 2, 10, 64] {
        let share = share_of_the_best(most, 10 * SECOND, &quick);
        assert!(share > 0.9, "{most}: {share}");
    }
}

#[test]
fn an_api_that_refuses_above_20_is_used_up_to_20_and_hardly_refuses() {
    let api = |_: Duration, beside: u32, _: f64| refusing_above(20, beside);
    let share = share_of_the_best(64, 10 * SECOND, &api);
    assert!(share > 0.9, "{share}");

    let mut limiter = Limiter::new(64);
    let tally = adaptive(&mut limiter, &mut World::new(), 300 * SECOND, &api);
    assert_eq!(limiter.limit(), 20);
    // Two each time that one more is tried, and that is ever more seldom.
    assert!(tally.refused < 50, "{tally:?}");
}

#[test]
fn a_refusal_that_comes_late_is_understood_too() {
    let api = |_: Duration, beside: u32, _: f64| (50 * MS, refusing_above(20, beside).1);
    let share = share_of_the_best(64, 10 * SECOND, &api);
    assert!(share > 0.9, "{share}");
}

#[test]
fn an_api_whose_queue_grows_is_kept_busy_without_the_queue() {
    for at_a_time in [4, 20] {
        let api = |_: Duration, beside: u32, _: f64| queueing(at_a_time, beside);
        let share = share_of_the_best(64, 10 * SECOND, &api);
        assert!(share > 0.9, "{at_a_time}: {share}");
        let mut limiter = Limiter::new(64);
        // What is taken for normal must not drift.
        adaptive(&mut limiter, &mut World::new(), 300 * SECOND, &api);
        assert!(limiter.limit() <= at_a_time * 3, "{}", limiter.limit());
    }
}

#[test]
fn an_api_that_chokes_above_20_is_used_up_to_20() {
    let choking = |_: Duration, beside: u32, _: f64| match beside > 20 {
        true => (400 * MS, Sign::Good),
        false => (50 * MS, Sign::Good),
    };
    let share = share_of_the_best(64, 60 * SECOND, &choking);
    assert!(share > 0.8, "{share}");
}

#[test]
fn an_api_that_became_slower_for_good_is_not_throttled_for_it() {
    let api = |at: Duration, _: u32, _: f64| match at < 10 * SECOND {
        true => (50 * MS, Sign::Good),
        false => (400 * MS, Sign::Good),
    };
    let mut limiter = Limiter::new(20);
    let mut world = World::new();
    adaptive(&mut limiter, &mut world, 10 * SECOND, &api);
    let tally = adaptive(&mut limiter, &mut world, 20 * SECOND, &api);
    // It is slowed down once, to see whether that helps.
    assert!(tally.good > 700, "{tally:?} of 1000");
    let tally = adaptive(&mut limiter, &mut world, 20 * SECOND, &api);
    assert!(tally.good > 980, "{tally:?} of 1000");
}

#[test]
fn an_api_that_refuses_now_and_then_whatever_comes_is_not_throttled_for_it() {
    for (rate, least) in [(0.002, 0.9), (0.01, 0.7)] {
        let api = |_: Duration, _: u32, chance: f64| match chance < rate {
            true => (MS, Sign::Refused),
            false => (50 * MS, Sign::Good),
        };
        let share = share_of_the_best(20, 60 * SECOND, &api);
        assert!(share > least, "{rate}: {share}");
    }
}

#[test]
fn an_api_that_refuses_everything_gets_one_at_a_time_and_all_again_when_it_is_well() {
    let api = |at: Duration, _: u32, _: f64| match at < 5 * SECOND {
        true => (50 * MS, Sign::Refused),
        false => (50 * MS, Sign::Good),
    };
    let mut limiter = Limiter::new(20);
    let mut world = World::new();
    adaptive(&mut limiter, &mut world, 4 * SECOND, &api);
    assert_eq!(limiter.limit(), 1);
    adaptive(&mut limiter, &mut world, 30 * SECOND, &api);
    assert_eq!(limiter.limit(), 20);
}

#[test]
fn a_limit_that_nobody_uses_does_not_grow() {
    let mut limiter = Limiter::new(64);
    let mut world = World::new();
    world.run(&mut Limit::Adaptive(&mut limiter), 5, 60 * SECOND, &quick);
    assert!(limiter.limit() <= 11, "{}", limiter.limit());
}

#[test]
fn one_refusal_alone_changes_nothing_and_two_cut_once() {
    let mut limiter = Limiter::new(64);
    let mut world = World::new();
    adaptive(&mut limiter, &mut world, SECOND, &quick);
    assert_eq!(limiter.limit(), 64);
    let refused = Sample {
        begun: world.now,
        ended: world.now,
        beside: 60,
        taken: 60,
        sign: Sign::Refused,
    };
    limiter.note(&refused);
    assert_eq!(limiter.limit(), 64);
    for _ in 0..5 {
        let begun = world.now - MS;
        limiter.note(&Sample { begun, ..refused });
        assert_eq!(limiter.limit(), 42);
    }
}

#[test]
fn those_who_were_let_in_before_a_cut_and_begin_after_it_do_not_cut_again() {
    let mut limiter = Limiter::new(64);
    let mut world = World::new();
    adaptive(&mut limiter, &mut world, SECOND, &quick);
    let mut refused = Sample {
        begun: world.now,
        ended: world.now,
        beside: 30,
        taken: 64,
        sign: Sign::Refused,
    };
    limiter.note(&refused);
    limiter.note(&refused);
    assert_eq!(limiter.limit(), 21);
    refused.begun += MS;
    refused.beside = 25;
    limiter.note(&refused);
    assert_eq!(limiter.limit(), 21);
    assert_eq!(limiter.ceiling.unwrap().at, 24);
}

#[test]
fn a_place_that_is_taken_is_in_use_though_its_request_has_not_begun() {
    let mut limiter = Limiter::new(64);
    limiter.fast_below = 1;
    let start = Instant::now();
    for round in 1..=10_u32 {
        assert_eq!(limiter.limit(), round);
        for _ in 0..round.max(LEAST_ROUND) {
            limiter.note(&Sample {
                begun: start,
                ended: start + 50 * MS,
                beside: 1,
                taken: round,
                sign: Sign::Good,
            });
        }
    }
}
