//! The program as an operator meets it: the real binary, its exit codes, its messages, its admin API.
#![forbid(unsafe_code)]

mod support;

mod connections;
mod discovery;
mod examples;
mod explain;
mod keygen;
mod life;
mod refusals;
mod reload;
mod tls;
