//! The recipes of the README: each is taken from there, with the request that it promises, and run.

use super::{sent_one, site};
use crate::harness::Api;

/// The record that the README speaks of.
const RECORD: &str = "(2, 'net-0044', 'Tromsø', 1.5, '{\"floor\": 3}')";

/// The fenced blocks of a section of the README, with their language.
fn blocks(heading: &str) -> Vec<(&'static str, &'static str)> {
    let readme = include_str!("../../../README.md");
    let section = readme.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let fenced = section.split("\n```").skip(1).step_by(2);
    fenced
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

#[test]
fn every_recipe_of_the_readme_sends_the_request_that_stands_below_it() {
    let blocks = blocks("Describing the request");
    let mut recipes = 0;
    for pair in blocks.windows(2) {
        let (("toml", toml), ("http", promised)) = (pair[0], pair[1]) else {
            continue;
        };
        recipes += 1;
        let toml = toml.strip_prefix("[api]\n").unwrap();
        let toml = toml.replace("https://api.example", "{api}");
        let request = sent_one(&toml, RECORD);
        let (head, body) = promised.split_once("\n\n").unwrap_or((promised, ""));
        let mut head = head.lines();
        assert_eq!(head.next().unwrap(), request.line, "{toml}");
        for field in head {
            let (name, value) = field.split_once(": ").unwrap();
            assert_eq!(request.header(name), [value], "{toml}");
        }
        assert_eq!(request.body, body, "{toml}");
    }
    assert_eq!(recipes, 4);
}

#[test]
fn the_preview_of_the_readme_is_what_ferryd_prints() {
    let blocks = blocks("Describing the request");
    let (_, toml) = blocks
        .iter()
        .find(|(language, _)| *language == "toml")
        .unwrap();
    let (_, console) = blocks
        .iter()
        .find(|(language, _)| *language == "console")
        .unwrap();
    let (command, promised) = console.split_once('\n').unwrap();
    assert_eq!(command, "$ ferryd preview 2");
    let site = site(
        &Api::accepting(),
        toml.strip_prefix("[api]\n").unwrap(),
        RECORD,
    );
    let shown = site.run(&["preview", "2"]).assert_code(0).stdout;
    assert_eq!(shown.trim_end(), promised);
}
