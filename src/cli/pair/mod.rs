//! Commands about two recordings of one performance. One file a command: what was typed, then what is done.

pub mod align;
pub mod compare;
pub mod profile;
pub mod report;
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
    /// Check, align, validate or export many recordings, by a manifest
    #[command(subcommand, before_help = crate::cli::dataset::EXAMPLES)]
    Dataset(crate::cli::dataset::DatasetCommand),
    /// Tell what differs between devices that recorded one performance
    #[command(before_help = compare::EXAMPLES)]
    Compare(compare::Typed),
    /// Learn what a device does, to undo it where no microphone was there
    #[command(subcommand, before_help = profile::EXAMPLES)]
    Profile(profile::ProfileCommand),
}

impl PairCommand {
    /// Does what was typed.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Align(typed) => align::run(&typed),
            Self::Validate(typed) => validate::run(&typed),
            Self::Dataset(command) => command.run(),
            Self::Compare(typed) => compare::run(&typed),
            Self::Profile(command) => profile::run(&command),
        }
    }
}
