//! Kills and stops at random moments, while an owner changes the rows and the API fails now and then. Whatever happens,
//! nothing is lost, nothing falsely successful, and repeats stay within their bound.
//!
//! `FERRYD_TORTURE=1000` makes the loops longer; `FERRYD_TORTURE_SEED` brings a printed seed back.

mod chance;
mod owner;
mod strace;
mod world;

use crate::harness::{Api, Site, eventually};
use chance::Chance;
use owner::Owner;
use std::time::{Duration, Instant};
use world::{End, Run, World};

/// Cycles of a loop: the short number, or the long one of `FERRYD_TORTURE`.
fn cycles(short: usize, long: impl Fn(usize) -> usize) -> usize {
    let given = std::env::var("FERRYD_TORTURE").ok();
    given.map_or(short, |cycles| long(cycles.parse().unwrap()))
}

/// An audit takes longer the more records there are: of a long loop only some cycles get one.
fn is_looked_at(cycle: usize) -> bool {
    cycle < 100 || cycle.is_multiple_of(10)
}

#[test]
fn kills_lose_nothing_and_repeat_at_most_two_records_a_worker() {
    let mut chance = Chance::of_the_day("kill loop");
    let mut world = World::new(&mut chance);
    let owner = Owner::new(&world.site, chance.split()).work();
    let (cycles, start) = (cycles(100, |cycles| cycles), Instant::now());
    for cycle in 0..cycles {
        world.prepare_any_run(&mut chance, End::Killed);
        let mut run = Run::start(&world.site, world.site.ferryd(&["run"]));
        if chance.percent(20) {
            // A moment of the start, or shortly after it.
            std::thread::sleep(Duration::from_millis(chance.below(80) as u64));
        } else {
            let enough = world.accepted() + 1 + chance.below(60);
            eventually("requests come", || {
                run.has_ended() || world.accepted() >= enough
            });
        }
        run.kill(&world.site);
        if is_looked_at(cycle) {
            world.assert_the_file_holds();
        }
    }
    let owner = owner.stop();
    let figures = world.verdict(&owner);
    eprintln!("{cycles} kills in {:?}: {figures}", start.elapsed());
    assert!(figures.accepted > cycles * 10, "hardly anything happened");
}

#[test]
fn stops_repeat_nothing_and_end_within_the_grace() {
    let mut chance = Chance::of_the_day("stop loop");
    let mut world = World::new(&mut chance);
    let owner = Owner::new(&world.site, chance.split()).work();
    let (cycles, start) = (cycles(40, |cycles| cycles / 5), Instant::now());
    let mut slowest = Duration::ZERO;
    for cycle in 0..cycles {
        world.prepare_any_run(&mut chance, End::Stopped);
        let daemon = world.site.daemon();
        let enough = world.accepted() + chance.below(60);
        eventually("requests come", || world.accepted() >= enough);
        let (code, took) = daemon.terminate();
        assert_eq!(code, 0);
        slowest = slowest.max(took);
        if is_looked_at(cycle) {
            world.assert_the_file_holds();
        }
    }
    // shutdown.grace is 2 s.
    assert!(slowest <= Duration::from_secs(4), "a stop took {slowest:?}");
    let owner = owner.stop();
    let figures = world.verdict(&owner);
    let took = start.elapsed();
    eprintln!("{cycles} stops in {took:?}, the slowest {slowest:?}: {figures}");
    assert_eq!(figures.repeats, 0);
}

#[test]
fn ten_percent_of_failures_cost_at_most_fifteen_percent_more_requests() {
    let chance = std::sync::Mutex::new(Chance::of_the_day("amplification"));
    let api = Api::answering(move |_, _| {
        let mut chance = chance.lock().unwrap();
        let failure = chance.one_of(&[500, 502, 503, 504]);
        ferryd::server::Answer::status(if chance.percent(10) { failure } else { 200 })
    });
    let site = Site::with(&api, "[retry]\ninterval = \"100ms\"\nbackoff = 1.0\n");
    let records = 4000;
    site.import(1, 1..=records);
    site.run(&["drain"]).assert_code(0);
    let requests = api.seen().len() as f64 / records as f64;
    eprintln!("{requests} requests a record");
    // Below 1.05 the API would not have failed as often as it should.
    assert!((1.05..=1.15).contains(&requests), "{requests} a record");
}
