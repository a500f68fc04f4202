//! Reads a TOML document into a draft. The parser goes on after an error, so that one slip does not
//! hide the others; what it had to guess is neither taken nor reported a second time.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::body;
use super::super::keys::{self, Key, Set, Table};
use super::super::shown;
use super::super::values::Given;
use super::{Draft, Place, Subject, without_password};

/// A document that is being read.
struct Document<'a> {
    /// Its name in messages.
    name: String,
    text: &'a str,
    /// The byte at which each line begins.
    line_starts: Vec<usize>,
    /// The lines that are not TOML, counted from 1, and why.
    slips: BTreeMap<usize, &'a str>,
    /// For each line whether it may have been misread because of a slip.
    doubtful: Vec<bool>,
}

/// A member of a table, in the order of the document.
struct Member<'a> {
    name: &'a str,
    line: usize,
    value: &'a Spanned<DeValue<'a>>,
}

impl Draft {
    /// Takes all settings of the TOML `text`; `name` is the file in messages.
    pub(super) fn read_document(&mut self, name: &str, text: &str) {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Document::new(name, text, &errors);
        for (line, message) in &document.slips {
            let message = format!("not TOML: {}", shown(message));
            self.report(&document.subject(*line, None), &message);
        }
        self.misread = !document.slips.is_empty();
        for section in document.members(root.get_ref()) {
            self.read_section(&document, section.name, &section);
        }
    }

    fn read_section(&mut self, document: &Document, name: &str, section: &Member) {
        match section.value.get_ref() {
            DeValue::Table(table) if keys::is_section(name) => {
                for member in document.members(table) {
                    let name = format!("{name}.{}", member.name);
                    match keys::is_section(&name) {
                        true => self.read_section(document, &name, &member),
                        false => self.read_key(document, &name, &member),
                    }
                }
            }
            _ if keys::is_section(name) => {
                let reason = format!("is a section: write [{name}], and its keys below");
                self.report(&document.subject(section.line, Some(name)), &reason);
            }
            DeValue::Table(_) => {
                let near = keys::nearest_section(name);
                self.report_unknown(document, section.line, "section", name, near);
            }
            _ => {
                let near = keys::nearest_key(name).map(|key| key.name);
                self.report_unknown(document, section.line, "key", name, near);
            }
        }
    }

    fn read_key(&mut self, document: &Document, name: &str, member: &Member) {
        let Some(key) = keys::find(name) else {
            let near = match member.value.get_ref() {
                DeValue::Table(_) => keys::nearest_section(name),
                _ => None,
            };
            let near = near.or_else(|| keys::nearest_key(name).map(|key| key.name));
            return self.report_unknown(document, member.line, "key", name, near);
        };
        match &key.set {
            Set::One(set) => {
                let written = &document.text[member.value.span()];
                let name = format!("{name} = {}", without_password(written));
                let subject = document.subject(member.line, Some(&name));
                let outcome = set(&mut self.config, &given(member.value.get_ref()));
                self.settle(key, subject, outcome);
            }
            Set::Table(table) => self.read_table(document, key, table, member),
            Set::Body => self.read_body(document, key, member),
        }
    }

    /// Replaces the body as a whole.
    fn read_body(&mut self, document: &Document, key: &'static Key, member: &Member) {
        let subject = document.subject(member.line, Some(key.name));
        let DeValue::Table(table) = member.value.get_ref() else {
            let reason = "must be a table: write [api.body], and key = \"column\" below";
            return self.report(&subject, reason);
        };
        if document.is_doubtful(member.line) {
            return;
        }
        if table.is_empty() {
            let reason = "must not be empty; to send no body, set api.format = \"none\"";
            return self.report(&subject, reason);
        }
        match body::read(table) {
            Ok(members) => self.config.api.body = members,
            Err(flaws) => {
                for flaw in flaws {
                    let line = document.line(&(flaw.at..flaw.at));
                    if !document.is_doubtful(line) {
                        let name = format!("{}.{}", key.name, shown(&flaw.path));
                        self.report(&document.subject(line, Some(&name)), &flaw.reason);
                    }
                }
            }
        }
        self.set_by.insert(key.name, subject);
    }

    /// Replaces a table as a whole. Messages leave the strings out: a header may be secret.
    fn read_table(
        &mut self,
        document: &Document,
        key: &'static Key,
        table: &Table,
        member: &Member,
    ) {
        let subject = document.subject(member.line, Some(key.name));
        let DeValue::Table(given) = member.value.get_ref() else {
            let reason = format!(
                "must be a table: write [{}], and name = \"…\" below",
                key.name
            );
            return self.report(&subject, &reason);
        };
        if document.is_doubtful(member.line) {
            return;
        }
        if given.is_empty() && !table.may_be_empty {
            return self.report(&subject, "must not be empty");
        }
        let mut entries = Vec::new();
        for entry in document.members(given) {
            let outcome = match entry.value.get_ref().as_str() {
                Some(text) => (table.check)(&entries, entry.name, text).map(|()| text),
                None => Err("must be a string".to_owned()),
            };
            match outcome {
                Ok(text) => entries.push((entry.name.to_owned(), text.to_owned())),
                Err(reason) => {
                    let name = format!("{}.{}", key.name, shown(entry.name));
                    self.report(&document.subject(entry.line, Some(&name)), &reason);
                }
            }
        }
        *(table.entries)(&mut self.config) = entries;
        self.set_by.insert(key.name, subject);
    }

    fn report_unknown(
        &mut self,
        document: &Document,
        line: usize,
        kind: &str,
        name: &str,
        near: Option<&str>,
    ) {
        let remedy = match near {
            Some(near) => format!(", did you mean \"{near}\"?"),
            None => ": remove it".to_owned(),
        };
        let reason = format!("unknown {kind} \"{}\"{remedy}", shown(name));
        self.report(&document.subject(line, None), &reason);
    }
}

impl<'a> Document<'a> {
    fn new(name: &str, text: &'a str, errors: &'a [toml::de::Error]) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let mut document = Self {
            name: shown(name).into(),
            text,
            line_starts: std::iter::once(0).chain(after_newlines).collect(),
            slips: BTreeMap::new(),
            doubtful: Vec::new(),
        };
        // One slip can make several errors in a row; the first of a line tells it best.
        for error in errors {
            let line = document.line(&error.span().unwrap_or_default());
            document.slips.entry(line).or_insert(error.message());
        }
        // After a broken [section] its keys seem to belong elsewhere; after a second [section] of
        // the same name they do not.
        let mut in_broken_section = false;
        for (line, text) in (1..).zip(text.split('\n')) {
            let slip = document.slips.get(&line);
            if text.trim_start().starts_with('[') {
                in_broken_section = slip.is_some_and(|slip| *slip != "duplicate key");
            }
            document.doubtful.push(slip.is_some() || in_broken_section);
        }
        document
    }

    /// The line, counted from 1, where `span` begins.
    fn line(&self, span: &Range<usize>) -> usize {
        self.line_starts
            .partition_point(|start| *start <= span.start)
    }

    fn is_doubtful(&self, line: usize) -> bool {
        self.doubtful.get(line - 1).copied().unwrap_or_default()
    }

    fn subject(&self, line: usize, what: Option<&str>) -> Subject {
        let what = what.map(|what| format!(": {what}")).unwrap_or_default();
        Subject {
            place: Place::File { line },
            name: format!("{}:{line}{what}", self.name),
        }
    }

    /// What stands in `table`, without the values that may have been misread. The parser sorts by
    /// name; this sorts by place.
    fn members<'b>(&self, table: &'b DeTable<'b>) -> Vec<Member<'b>> {
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(name, _)| name.span().start);
        let members = pairs.into_iter().map(|(name, value)| Member {
            name: name.get_ref(),
            line: self.line(&name.span()),
            value,
        });
        members
            .filter(|member| member.value.get_ref().is_table() || !self.is_doubtful(member.line))
            .collect()
    }
}

/// A value that JSON has too.
fn scalar(value: &DeValue) -> Option<serde_json::Value> {
    match given(value) {
        Given::Text(text) => Some(text.into()),
        Given::Number(number) => number.parse::<i64>().ok().map(Into::into),
        Given::Boolean(boolean) => Some(boolean.into()),
        _ => None,
    }
}

fn given(value: &DeValue) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.clone().into_owned()),
        DeValue::Integer(integer) => {
            // An integer that does not fit keeps its prefix, which no key takes for a number.
            let number = i128::from_str_radix(integer.as_str(), integer.radix());
            Given::Number(number.map_or_else(|_| integer.to_string(), |n| n.to_string()))
        }
        DeValue::Float(float) => Given::Number(float.as_str().to_owned()),
        DeValue::Boolean(boolean) => Given::Boolean(*boolean),
        DeValue::Array(array) => {
            let texts = array.iter().map(|item| item.get_ref().as_str());
            let texts: Option<Vec<_>> = texts.map(|text| text.map(str::to_owned)).collect();
            let scalars = || array.iter().map(|item| scalar(item.get_ref()));
            match texts {
                Some(texts) => Given::Texts(texts),
                None => scalars()
                    .collect::<Option<_>>()
                    .map_or(Given::Other, Given::Scalars),
            }
        }
        _ => Given::Other,
    }
}
