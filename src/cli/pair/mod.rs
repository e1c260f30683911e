//! Commands about two recordings of one performance. One file a command: what was typed, then what is done.

pub mod align;
pub mod together;
pub mod validate;

use super::failure::Failure;
use clap::Subcommand;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum PairCommand {
    /// Find offset and clock drift between a phone's and a microphone's recording
    #[command(before_help = align::EXAMPLES)]
    Align(align::Typed),
    /// Tell how much of the dynamics a phone's recording has, before and after restoration
    #[command(before_help = validate::EXAMPLES)]
    Validate(validate::Typed),
}

impl PairCommand {
    /// Does what was typed.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Align(typed) => align::run(&typed),
            Self::Validate(typed) => validate::run(&typed),
        }
    }
}
