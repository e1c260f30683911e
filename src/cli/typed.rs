//! What was typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  agcfix restore take.m4a                     write take.restored.wav, dynamics restored
  agcfix restore take.m4a --plot              ... and take.restored.png, which shows what was done
  agcfix analyze take.m4a                     only tell what the phone did
  agcfix validate take.m4a mic.wav            how much of the dynamics is there, against a microphone
  agcfix laws                                 list the gain controls that are known
";

const ANALYZE_EXAMPLES: &str = "\
Examples:
  agcfix analyze take.m4a                     tell what the phone did
  agcfix analyze take.m4a --plot              ... and draw take.agcfix.png
  agcfix analyze take.m4a --json - | jq .law  the numbers, for programs
  agcfix analyze take.m4a --labels take.txt   events as an Audacity label track
";

const RESTORE_EXAMPLES: &str = "\
Examples:
  agcfix restore take.m4a                     write take.restored.wav
  agcfix restore take.m4a -o out.wav --plot   write out.wav and the picture out.png
  agcfix restore take.m4a --bits 32f          keep the absolute level, in floating point
  agcfix restore take.m4a --law compressor:threshold_db=-30,slope=0.75
                                              undo this law, whatever the recording tells
  agcfix restore take.m4a --gain take.csv     undo this gain curve (time_s,gain_db)
  agcfix restore take.m4a --profile phone.toml   undo what this device is known to do
";

/// Gives a piano recording its dynamics back.
#[derive(Debug, Parser)]
#[command(version, before_help = EXAMPLES, after_help = "Exit codes: 0 done, 1 bad input, 2 wrong usage, 3 cannot tell.")]
#[command(about = "Finds what a phone's automatic gain control did to a piano recording, and undoes it")]
pub struct Typed {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what the phone's gain control did
    #[command(before_help = ANALYZE_EXAMPLES)]
    Analyze(AnalyzeTyped),
    /// Undo what the phone's gain control did
    #[command(before_help = RESTORE_EXAMPLES)]
    Restore(RestoreTyped),
    #[command(flatten)]
    Pair(super::pair::PairCommand),
    /// List the gain laws that are known, with their constants, units and ranges
    #[command(before_help = "Examples:\n  agcfix laws\n")]
    Laws,
}

/// What both commands take.
#[derive(Debug, Args)]
pub struct Common {
    /// The recording: WAV, m4a, MP3, FLAC, Ogg Vorbis, AIFF or CAF
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Draw what was found, as PNG or SVG by the name's ending
    #[arg(long, value_name = "FILE.png|.svg", num_args = 0..=1, require_equals = true)]
    pub plot: Option<Option<PathBuf>>,
    /// Write the numbers as JSON; - is standard output
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<PathBuf>,
    /// Overwrite files that exist; the recording itself never is
    #[arg(long)]
    pub force: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct AnalyzeTyped {
    #[command(flatten)]
    pub common: Common,
    /// Write the device's gain: time_s,gain_db,lower_db,upper_db
    #[arg(long, value_name = "FILE.csv")]
    pub gain: Option<PathBuf>,
    /// Write the events as an Audacity label track
    #[arg(long, value_name = "FILE.txt")]
    pub labels: Option<PathBuf>,
    /// Write every fitted decay
    #[arg(long, value_name = "FILE.csv")]
    pub partials: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RestoreTyped {
    #[command(flatten)]
    pub common: Common,
    /// Restored recording [default: NAME.restored.wav beside IN]
    #[arg(long, short, value_name = "OUT.wav")]
    pub output: Option<PathBuf>,
    /// Write the device's gain that was undone: time_s,gain_db,lower_db,upper_db
    #[arg(long, value_name = "FILE.csv")]
    pub gain_out: Option<PathBuf>,
    /// Undo this gain of the device: time_s,gain_db
    #[arg(long, value_name = "FILE.csv", conflicts_with = "law")]
    pub gain: Option<PathBuf>,
    /// Which gain law to undo: auto finds out, none changes no level, NAME is fitted, NAME:key=value,... is taken as given
    /// (constants not named keep their defaults; see agcfix laws)
    #[arg(long, value_name = "auto|none|NAME[:key=value,...]", default_value = "auto")]
    pub law: String,
    /// Undo the gain control of this device, as agcfix profile learn wrote it
    #[arg(long, value_name = "DEVICE.toml", conflicts_with_all = ["law", "gain"])]
    pub profile: Option<PathBuf>,
    /// How many dB louder this recording is than those of the profile; by default it is found out
    #[arg(long, value_name = "DB", requires = "profile", allow_negative_numbers = true)]
    pub profile_volume: Option<f64>,
    /// Samples of the result; 32f keeps the absolute level
    #[arg(long, value_enum, default_value = "24")]
    pub bits: Bits,
}

/// Sample formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bits {
    /// 16-bit integers with dither
    #[value(name = "16")]
    Int16,
    /// 24-bit integers
    #[value(name = "24")]
    Int24,
    /// 32-bit floating point
    #[value(name = "32f")]
    Float32,
}

impl Bits {
    /// As typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int16 => "16",
            Self::Int24 => "24",
            Self::Float32 => "32f",
        }
    }
}
