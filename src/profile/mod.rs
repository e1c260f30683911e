//! Device profiles: the gain law of one device with its constants, learnt from pairs of phone and microphone, and used on
//! recordings that have no microphone beside them.
//!
//! [`mod@learn`] runs every law family forwards over what the microphone shows that the phone heard ([`crate::pair::level`]) and asks
//! how far its output is from the phone's; [`mod@file`] keeps what was found as versioned TOML; [`apply`] undoes it on another
//! recording, where only the recording's overall volume, and landings at a ceiling, may still have to be found.

pub mod apply;
pub mod file;
pub mod learn;

pub use apply::{Volume, analyze_with};
pub use file::Profile;
pub use learn::{LearnConfig, Learnt, Take, learn};
