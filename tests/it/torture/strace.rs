//! Kills at chosen system calls, where strace is installed: the moments that chance seldom meets.

use super::chance::Chance;
use super::owner::Owner;
use super::world::{End, Run, World};
use crate::harness::eventually;
use crate::rights::skip;
use std::process::Command;

/// A call (SQLite may be built with either way to sync), and the times, counted by thread, at whose entry the whole
/// process is killed.
const MOMENTS: &[(&str, &[u32])] = &[
    ("pwrite64", &[1, 2, 3, 8, 21, 50, 120]),
    ("write", &[1, 2, 3, 5]),
    ("sendto", &[1, 2, 7, 15]),
    ("recvfrom", &[1, 2, 7, 15]),
    ("fsync,fdatasync", &[1, 2, 3, 6, 20]),
];

const WORKERS: usize = 3;

#[test]
fn a_kill_at_a_chosen_system_call_loses_nothing() {
    let strace = Command::new("strace").args(["-qq", "true"]).output();
    if !strace.is_ok_and(|ran| ran.status.success()) {
        skip("strace is not installed, or may not trace");
        return;
    }
    let mut chance = Chance::of_the_day("kills at system calls");
    let mut world = World::new(&mut chance);
    let mut owner = Owner::new(&world.site, chance.split());
    let mut met = 0;
    for (call, times) in MOMENTS {
        let kill = |time: &&u32| kill_at(&mut world, &mut owner, call, **time);
        let of_call = times.iter().filter(kill).count();
        eprintln!("{call}: {of_call} of {} moments met", times.len());
        met += of_call;
    }
    assert!(met > 10, "strace killed hardly ever");
    eprintln!("{}", world.verdict(&owner));
}

/// Runs the daemon until it meets the moment, or until nothing is left to do: then it is killed all the same. Says
/// which it was.
fn kill_at(world: &mut World, owner: &mut Owner, call: &str, time: u32) -> bool {
    world.prepare_run(WORKERS, 20, "full", End::Killed);
    for _ in 0..WORKERS {
        owner.insert_above(30);
    }
    let daemon = world.site.ferryd(&["run"]);
    let mut run = Run::start(&world.site, under_strace(&daemon, call, time));
    let mut met = false;
    eventually("the daemon is killed or has delivered all", || {
        met = run.has_ended();
        let left = "SELECT waiting + retrying + unknown FROM delivery_summary";
        met || world.site.value::<i64>(left) == 0
    });
    if !met {
        run.kill_children();
        eventually("the daemon is dead", || run.has_ended());
    }
    world.assert_the_file_holds();
    met
}

fn under_strace(daemon: &Command, call: &str, time: u32) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    strace.arg(format!("trace={call}"));
    let inject = format!("inject={call}:signal=KILL:when={time}");
    strace.args(["-e", &inject, "--"]);
    strace.arg(daemon.get_program()).args(daemon.get_args());
    strace.current_dir(daemon.get_current_dir().unwrap());
    for (name, value) in daemon.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}
