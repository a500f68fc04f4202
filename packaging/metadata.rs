//! What a package holds and says of itself. Cargo.toml says it, for cargo-deb and for cargo-generate-rpm; here the two are
//! held against each other, and written out for build-deb.sh.

use anyhow::{Context, ensure};
use std::collections::BTreeSet;
use toml::de::{DeTable, DeValue};

const MANIFEST: &str = include_str!("../Cargo.toml");

/// Where zsh looks for completions differs between Debian and the RPM world.
const ZSH: &str = "target/package/completions/_ferryd";

/// `[package.metadata]` of Cargo.toml.
pub struct Metadata {
    deb: DeValue<'static>,
    rpm: DeValue<'static>,
}

/// A file, or several, and where in a package it goes.
struct Asset {
    source: String,
    dest: String,
    mode: String,
}

impl Metadata {
    /// # Errors
    /// When Cargo.toml lacks what is needed here.
    pub fn read() -> anyhow::Result<Metadata> {
        let manifest = DeTable::parse(MANIFEST)?.into_inner();
        let section = |kind: &str| {
            let package = manifest.get("package")?.get_ref();
            Some(
                package
                    .get("metadata")?
                    .get_ref()
                    .get(kind)?
                    .get_ref()
                    .clone(),
            )
        };
        Ok(Metadata {
            deb: section("deb").context("Cargo.toml: no [package.metadata.deb]")?,
            rpm: section("generate-rpm")
                .context("Cargo.toml: no [package.metadata.generate-rpm]")?,
        })
    }

    /// A line for each asset of the Debian package: mode, source and destination.
    ///
    /// # Errors
    /// When the RPM package would hold anything else.
    pub fn assets(&self) -> anyhow::Result<String> {
        let (deb, rpm) = (assets(&self.deb)?, assets(&self.rpm)?);
        let text = deb.iter().map(line).collect();
        let (deb, rpm) = (comparable(deb), comparable(rpm));
        let differences: Vec<_> = deb.symmetric_difference(&rpm).collect();
        ensure!(
            differences.is_empty(),
            "Cargo.toml names these assets in one kind of package alone: {differences:?}"
        );
        Ok(text)
    }

    /// The control file of the Debian package, deb-control(5), without what only the build knows: version, architecture,
    /// size, and the libraries that are needed, for which `$auto` stands.
    ///
    /// # Errors
    /// When a field is missing.
    pub fn control(&self) -> anyhow::Result<String> {
        let mut control = String::from("Package: ferryd\n");
        for (field, key) in [
            ("Section", "section"),
            ("Priority", "priority"),
            ("Maintainer", "maintainer"),
            ("Depends", "depends"),
            ("Recommends", "recommends"),
            ("Suggests", "suggests"),
        ] {
            control += &format!("{field}: {}\n", text(&self.deb, key)?);
        }
        control += &format!("Description: {}\n", text(&self.rpm, "summary")?);
        for line in text(&self.deb, "extended-description")?.lines() {
            control += &format!(" {line}\n");
        }
        Ok(control)
    }
}

fn text<'a>(table: &'a DeValue, key: &str) -> anyhow::Result<&'a str> {
    let value = table.get(key).and_then(|value| value.get_ref().as_str());
    value.with_context(|| format!("Cargo.toml: {key} is missing, or no text"))
}

fn assets(package: &DeValue) -> anyhow::Result<Vec<Asset>> {
    let list = package
        .get("assets")
        .and_then(|list| list.get_ref().as_array());
    let list = list.context("Cargo.toml: assets is missing, or no list")?;
    let asset = |table: &DeValue| {
        Ok(Asset {
            source: text(table, "source")?.to_owned(),
            dest: text(table, "dest")?.to_owned(),
            mode: text(table, "mode")?.to_owned(),
        })
    };
    list.iter().map(|table| asset(table.get_ref())).collect()
}

fn line(asset: &Asset) -> String {
    format!("{} {} {}\n", asset.mode, asset.source, asset.dest)
}

fn comparable(assets: Vec<Asset>) -> BTreeSet<String> {
    let assets = assets.into_iter().map(|mut asset| {
        // Of the two, cargo-generate-rpm alone wants a leading slash.
        asset.dest = asset.dest.trim_start_matches('/').to_owned();
        if asset.source == ZSH {
            asset.dest.clear();
        }
        line(&asset)
    });
    assets.collect()
}
