//! The command line: what was typed ([`typed`]), what it means ([`plan`]), and what is written where ([`outputs`]).
//!
//! Exit codes: 0 done; 1 the input or the system does not allow it; 2 typed wrongly; 3 refused, because it cannot be told
//! whether a gain control was at work. Files appear whole or not at all; nothing is overwritten without `--force`, and the
//! input never; all of that is checked before the work begins.

pub mod colour;
pub mod dataset;
pub mod engine;
pub mod failure;
pub mod input;
pub mod long;
pub mod interrupt;
pub mod laws;
pub mod manual;
pub mod names;
pub mod outputs;
pub mod pair;
pub mod plan;
pub mod progress;
pub mod report;
pub mod simulate;
pub mod stdio;
pub mod targets;
pub mod typed;
