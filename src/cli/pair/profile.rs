//! `agcfix profile learn`: the law of a device, from pairs of its recordings with a microphone's.

use super::align::check;
use super::together::{Together, together};
use crate::cli::failure::Failure;
use crate::cli::laws::LawChoice;
use crate::cli::stdio::{self, SummaryTo};
use agcfix::encode::write_atomically;
use agcfix::law::Law;
use agcfix::profile::{LearnConfig, Learnt, Profile, Take, learn};
use clap::{Args, Subcommand};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const EXAMPLES: &str = "\
Examples:
  agcfix profile learn phone.m4a mic.wav -o phone.toml
  agcfix profile learn a.m4a a-mic.wav b.m4a b-mic.wav -o phone.toml --name \"Pixel 8\" --maker Google --mode video
  agcfix restore other.m4a --profile phone.toml
";

/// What can be done with profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Learn a device's gain control from its recordings and a microphone's of the same performances
    #[command(before_help = EXAMPLES)]
    Learn(Typed),
}

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// Pairs of recordings: phone, microphone, phone, microphone, ...
    #[arg(value_name = "PHONE MIC", num_args = 2.., required = true)]
    pub recordings: Vec<PathBuf>,
    /// The profile
    #[arg(long, short, value_name = "DEVICE.toml")]
    pub output: PathBuf,
    /// Only try these gain laws (see agcfix laws); may be given more than once
    #[arg(long, value_name = "NAME")]
    pub law: Vec<String>,
    /// The device's name [default: the profile's file name]
    #[arg(long)]
    pub name: Option<String>,
    /// Its maker
    #[arg(long, default_value = "")]
    pub maker: String,
    /// Its recording mode or app
    #[arg(long, default_value = "")]
    pub mode: String,
    /// Overwrite a profile that exists
    #[arg(long)]
    pub force: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Reads the pairs, learns, writes, tells.
pub fn run(command: &ProfileCommand) -> Result<(), Failure> {
    let ProfileCommand::Learn(typed) = command;
    if !typed.recordings.len().is_multiple_of(2) {
        return Err(Failure::Usage(format!(
            "profile learn: {} recordings; give pairs, each phone followed by its microphone",
            typed.recordings.len()
        )));
    }
    let inputs: Vec<&Path> = typed.recordings.iter().map(PathBuf::as_path).collect();
    check(&inputs, &[("-o", Some(typed.output.as_path()))], typed.force)?;
    let mut config = LearnConfig::default();
    if !typed.law.is_empty() {
        config.laws = typed.law.iter().map(|name| law_of(name)).collect::<Result<_, _>>()?;
    }
    let mut takes = Vec::new();
    for pair in typed.recordings.chunks_exact(2) {
        let Together { phone, mic, alignment } = together(&pair[0], &pair[1])?;
        takes.push(Take::new(&phone.audio, &mic.audio, &alignment, (0.0, f64::INFINITY))?);
    }
    let learnt = learn(&takes, &config)?;
    let file_name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own_name = typed.output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = typed.name.clone().unwrap_or(own_name);
    let mut profile = Profile::of(&name, &takes, &learnt, inputs.iter().map(|p| file_name(p)).collect());
    profile.maker.clone_from(&typed.maker);
    profile.mode.clone_from(&typed.mode);
    let text = profile.to_toml()?;
    write_atomically(&typed.output, typed.force, |writer| writer.write_all(text.as_bytes()))?;
    let summary_to = if typed.quiet { SummaryTo::Nowhere } else { SummaryTo::StandardOutput };
    stdio::tell(&format!("{}Written: {}\n", told(&profile, &learnt), typed.output.display()), summary_to)
}

fn law_of(name: &str) -> Result<Arc<dyn Law>, Failure> {
    match LawChoice::of(name).map_err(Failure::Usage)? {
        LawChoice::Fitted(law) => Ok(law),
        LawChoice::Auto | LawChoice::None | LawChoice::Given(_) => {
            Err(Failure::Usage(format!("--law {name}: give a law's name; agcfix laws lists them")))
        }
    }
}

/// What was learnt, for people.
fn told(profile: &Profile, learnt: &Learnt) -> String {
    let mut out = match &learnt.law {
        None if learnt.left_db < 0.5 => {
            format!(
                "{}: no gain control: the level follows the microphone's to {:.2} dB.\n",
                profile.name, learnt.left_db
            )
        }
        None => format!(
            "{}: the gain moves by {:.2} dB rms, but no law that is known explains it.\n",
            profile.name, learnt.movement_db
        ),
        Some(law) => {
            let constants: Vec<String> = law
                .parameters
                .iter()
                .map(|p| format!("  {} = {:.4} ({:.4} to {:.4}) {}", p.name, p.value, p.lower, p.upper, p.unit))
                .collect();
            format!(
                "{}: {}; it leaves {:.2} of {:.2} dB rms.\n{}\n",
                profile.name,
                law.name,
                learnt.left_db,
                learnt.movement_db,
                constants.join("\n")
            )
        }
    };
    let others: Vec<String> = learnt.families.iter().take(4).map(|(name, db)| format!("{name} {db:.2}")).collect();
    out.push_str(&format!("Families, dB rms left: {}.\n", others.join(", ")));
    out
}
