//! The messages of the RFCs through the whole core: torture tests (RFC 4475, RFC 5118) one by one, over UDP and over
//! WebSocket, and call flows (RFC 3261 §24, RFC 3665, RFC 7118 §8) played hop by hop.
//!
//! The conditions are tested by messages of our own, in `own.rs`, always. The RFCs' messages are played where they are
//! at hand: in the directory that `SBC_CORPUS` names, or in `shared/corpus` beside the checkout.

mod flows;
mod own;
mod stage;
mod torture;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Names the directory that holds one directory of messages per RFC, each with its `manifest.json`.
const VARIABLE: &str = "SBC_CORPUS";

/// Where the messages are, if they are at hand.
fn corpus() -> Option<PathBuf> {
    let beside = || {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        Some(checkout.parent()?.join("shared/corpus"))
    };
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    named.or_else(beside).filter(|directory| directory.is_dir())
}

/// The messages that a manifest lists.
fn listed(set: &Path) -> Vec<Value> {
    let path = set.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let manifest: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    ["messages", "extra"].iter().filter_map(|list| manifest[list].as_array()).flatten().cloned().collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}
