//! Logs: text for people on a terminal, one JSON object a line elsewhere, on standard output.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Starts logging. `RUST_LOG` goes before the level of the file.
///
/// # Errors
/// When `RUST_LOG` is no filter.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter).map_err(|error| {
            anyhow::anyhow!("RUST_LOG: found {filter:?}, expected a filter as \"sbc=debug\": {error}")
        })?,
        _ => EnvFilter::new(log.level.to_string()),
    };
    let text = match log.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stdout().is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    if text {
        registry.with(layer().with_ansi(std::io::stdout().is_terminal())).try_init()?;
    } else {
        registry.with(layer().json().flatten_event(true)).try_init()?;
    }
    abort_on_panic();
    Ok(())
}

/// A panic is a bug, and a worker that is gone leaves its calls unanswered: better that the whole node restarts,
/// since every dialog survives that.
fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let literal = payload.downcast_ref::<&str>().copied();
        let message =
            literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            place,
            thread = thread.name().unwrap_or_default(),
            "this is a bug, sbc stops: {message}"
        );
        std::process::abort();
    }));
}
