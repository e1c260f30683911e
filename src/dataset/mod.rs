//! Many recordings of several takes: a manifest names them, every phone is paired with every microphone of its take and position.
//!
//! [`manifest`] reads the list; [`mod@run`] aligns or validates every pair, in parallel, and goes on where one fails; [`results`] keeps
//! one JSON line a pair, by the recordings' contents, so that a second run does only what is new; [`mod@summary`] gathers them by
//! device and position; [`mod@restore`] restores every phone's recording; [`mod@export`] cuts training pairs. A [`shard`] is the part
//! of the work that one machine of many does.

pub mod manifest;
pub mod results;
pub mod shard;
pub mod run;
pub mod restore;
pub mod summary;
pub mod export;

pub use manifest::{Manifest, Pair, Role};
pub use results::{Results, Row};
pub use run::{Task, run};
pub use shard::Shard;
