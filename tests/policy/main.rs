//! Every crate that the program is built from has a licence, a name and a source that `deny.toml` allows.
#![forbid(unsafe_code)]

use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    clarify: Vec<Clarified>,
}

#[derive(Deserialize)]
struct Clarified {
    #[serde(rename = "crate")]
    name: String,
    expression: String,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None: one of ours.
    source: Option<String>,
}

impl Policy {
    fn objection(&self, package: &Package) -> Option<String> {
        let Package { name, version, .. } = package;
        if self.bans.deny.contains(name) {
            return Some(format!("{name} {version} is banned"));
        }
        let registry = package.source.as_deref().map(|source| source.trim_start_matches("registry+"));
        if registry
            .is_some_and(|registry| !self.sources.allow_registry.iter().any(|allowed| allowed == registry))
        {
            return Some(format!("{name} {version} comes from {registry:?}"));
        }
        let clarified = self.licenses.clarify.iter().find(|clarified| clarified.name == *name);
        let expression = clarified.map(|clarified| &clarified.expression).or(package.license.as_ref());
        match expression {
            None => Some(format!("{name} {version} names no licence")),
            Some(expression) if !self.permits(expression) => {
                Some(format!("{name} {version} is under {expression}"))
            }
            Some(_) => None,
        }
    }

    fn permits(&self, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let permitted = self.any(&mut words);
        permitted && words.next().is_none()
    }

    /// `a OR b`: SPDX gives AND the closer binding.
    fn any<'w>(&self, words: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>) -> bool {
        let mut permitted = self.all(words);
        while words.next_if_eq(&"OR").is_some() {
            permitted |= self.all(words);
        }
        permitted
    }

    fn all<'w>(&self, words: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>) -> bool {
        let mut permitted = self.one(words);
        while words.next_if_eq(&"AND").is_some() {
            permitted &= self.one(words);
        }
        permitted
    }

    fn one<'w>(&self, words: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>) -> bool {
        match words.next() {
            Some("(") => {
                let mut depth = 1;
                let inside: Vec<_> = words
                    .by_ref()
                    .take_while(|word| {
                        depth += i32::from(*word == "(") - i32::from(*word == ")");
                        depth > 0
                    })
                    .collect();
                self.permits(&inside.join(" "))
            }
            Some(license) => {
                // An exception only ever permits more.
                if words.next_if_eq(&"WITH").is_some() {
                    words.next();
                }
                self.licenses.allow.iter().any(|allowed| allowed == license)
            }
            None => false,
        }
    }
}

fn policy() -> Policy {
    toml::from_str(include_str!("../../deny.toml")).expect("deny.toml is right")
}

#[test]
fn every_crate_is_allowed() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--manifest-path",
            env!("CARGO_MANIFEST_PATH"),
        ])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo's own format");
    let policy = policy();
    let objections: Vec<_> =
        metadata.packages.iter().filter_map(|package| policy.objection(package)).collect();
    assert!(objections.is_empty(), "{objections:#?}");
    assert!(metadata.packages.len() > 100, "cargo named all of them");
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let policy = policy();
    for permitted in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-2.0",
        "(MIT OR GPL-3.0) AND ISC",
        "GPL-3.0 AND ISC OR MIT",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(policy.permits(permitted), "{permitted}");
    }
    for refused in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT AND GPL-3.0) OR (LGPL-2.1 AND ISC)", "MIT MIT"] {
        assert!(!policy.permits(refused), "{refused}");
    }
}
