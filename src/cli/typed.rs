//! What was typed.

use super::progress::Voice;
use super::simulate::{INSTRUMENT_EXAMPLES, InstrumentTyped, SIMULATE_EXAMPLES, SimulateTyped};
use agcfix::report::interchange::ExportFormat;
use agcfix::report::plot::Detail;
use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  agcfix restore take.m4a                     write take.restored.wav, dynamics restored
  agcfix restore take.m4a --plot              ... and take.restored.png, which shows what was done
  agcfix analyze take.m4a                     only tell what the phone did
  agcfix restore take.m4a --report            ... and a page to listen to before and after
  agcfix validate take.m4a mic.wav            how much of the dynamics is there, against a microphone
  agcfix laws                                 list the gain controls that are known
";

const ANALYZE_EXAMPLES: &str = "\
Examples:
  agcfix analyze take.m4a                     tell what the phone did
  agcfix analyze take.m4a --plot              ... and draw take.agcfix.png
  agcfix analyze take.m4a --json - | jq .law  the numbers, for programs
  agcfix analyze take.m4a --report            a page with players and pictures, take.agcfix.html
  agcfix analyze take.m4a --labels take.txt   events as an Audacity label track
  agcfix analyze *.m4a --json {name}.json     several recordings, a document each
";

const PLOT_EXAMPLES: &str = "\
Examples:
  agcfix plot gain take.m4a                   draw take.gain.png
  agcfix plot partials take.m4a -o p.svg      the partials and their decays, as SVG
";

const RESTORE_EXAMPLES: &str = "\
Examples:
  agcfix restore take.m4a                     write take.restored.wav
  agcfix restore take.m4a -o out.wav --plot   write out.wav and the picture out.png
  agcfix restore take.m4a --bits 32f          keep the absolute level, in floating point
  agcfix restore take.m4a --law compressor:threshold_db=-30,slope=0.75
                                              undo this law, whatever the recording tells
  agcfix restore take.m4a --gain take.csv     undo this gain curve (time_s,gain_db)
  agcfix restore *.m4a --output-dir restored  several recordings, into a folder
  agcfix restore - -o - < take.m4a | play -   from standard input to standard output
  agcfix restore take.m4a --profile phone.toml   undo what this device is known to do
";

/// Gives a piano recording its dynamics back.
#[derive(Debug, Parser)]
#[command(version, before_help = EXAMPLES, after_help = "Exit codes: 0 done, 1 bad input, 2 wrong usage, 3 cannot tell.")]
#[command(about = "Finds what a phone's automatic gain control did to a piano recording, and undoes it")]
pub struct Typed {
    /// Colour messages and help
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
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
    /// Make a phone's recording out of a clean one, with the truth of every step
    #[command(before_help = SIMULATE_EXAMPLES)]
    Simulate(Box<SimulateTyped>),
    /// Play a piano whose every partial is known: a study or a MIDI file
    #[command(before_help = INSTRUMENT_EXAMPLES)]
    Instrument(InstrumentTyped),
    #[command(flatten)]
    Pair(super::pair::PairCommand),
    /// List the gain laws that are known, with their constants, units and ranges
    #[command(before_help = "Examples:\n  agcfix laws\n")]
    Laws,
    /// Draw one stage of the analysis, large
    #[command(before_help = PLOT_EXAMPLES)]
    Plot(PlotTyped),
    /// Print what makes a shell complete agcfix's words
    #[command(
        before_help = "Examples:\n  agcfix completions bash > ~/.local/share/bash-completion/completions/agcfix\n  \
                             agcfix completions zsh > ~/.zfunc/_agcfix\n"
    )]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page of agcfix, or of one of its commands
    #[command(before_help = "Examples:\n  agcfix man | man -l -\n  agcfix man restore > agcfix-restore.1\n")]
    Man {
        /// Which command
        #[arg(value_name = "COMMAND")]
        of: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct PlotTyped {
    /// What to draw
    #[arg(value_enum)]
    pub what: Stage,
    /// The recording; - is standard input
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// The picture, PNG or SVG by the name's ending [default: NAME.WHAT.png beside IN]
    #[arg(long, short, value_name = "FILE.png|.svg")]
    pub output: Option<PathBuf>,
    /// Overwrite a file that exists
    #[arg(long)]
    pub force: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// What can be drawn on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// The partials over the spectrogram, with their fitted decays
    Partials,
    /// How fast the strings fade, over pitch
    Decays,
    /// The device's gain with its band and its events
    Gain,
    /// What the verdict rests on: laws against each other, steps measured and predicted
    Evidence,
    /// Levels before and after
    Levels,
}

impl Stage {
    /// What the library calls it.
    pub fn detail(self) -> Detail {
        match self {
            Self::Partials => Detail::Partials,
            Self::Decays => Detail::Decays,
            Self::Gain => Detail::Gain,
            Self::Evidence => Detail::Evidence,
            Self::Levels => Detail::Levels,
        }
    }
}

/// What both commands take.
#[derive(Debug, Args)]
pub struct Common {
    /// The recordings: WAV, m4a, MP3, FLAC, Ogg Vorbis, AIFF or CAF; - is standard input
    #[arg(value_name = "IN", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Put everything that is written into this folder; it is made where it is missing
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
    /// Draw what was found, as PNG or SVG by the name's ending
    #[arg(long, value_name = "FILE.png|.svg", num_args = 0..=1, require_equals = true)]
    pub plot: Option<Option<PathBuf>>,
    /// Write a page that tells the story and plays before and after, as one HTML file that opens offline
    #[arg(long, value_name = "FILE.html", num_args = 0..=1, require_equals = true)]
    pub report: Option<Option<PathBuf>>,
    /// Sound of the report: in the page, in the files beside it, or none
    #[arg(long, value_enum, default_value = "embedded", value_name = "HOW")]
    pub audio: AudioChoice,
    /// Another recording of the same performance to hear in the report; it is laid on this one's clock
    #[arg(long, value_name = "FILE", requires = "report")]
    pub microphone: Option<PathBuf>,
    /// Write the numbers as JSON; - is standard output
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<PathBuf>,
    /// Longest recording that is taken in; longer ones need more memory than most machines have
    #[arg(long, value_name = "SECONDS", default_value = "14400", value_parser = seconds)]
    pub max_duration: f64,
    /// Fail where the recording is damaged, instead of using what can be decoded
    #[arg(long)]
    pub strict: bool,
    /// Samples that are no numbers (NaN, infinity)
    #[arg(long, value_enum, default_value = "error")]
    pub nonfinite: NonFinite,
    /// Write a file for another program; may be given several times. FORMAT is one of audacity-events, audacity-decays,
    /// sv-gain, sv-events, sv-decays, reaper, control-wav, decays-csv, partials-csv
    #[arg(long, value_name = "FORMAT=FILE", value_parser = export)]
    pub export: Vec<(ExportFormat, PathBuf)>,
    /// Overwrite files that exist; the recording itself never is
    #[arg(long)]
    pub force: bool,
    /// Only say what would be read and written
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Say nothing but errors
    #[arg(long, short, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say what every stage took, and what was tried
    #[arg(long, short)]
    pub verbose: bool,
}

impl Common {
    /// How much is told.
    pub fn voice(&self) -> Voice {
        match (self.quiet, self.verbose) {
            (true, _) => Voice::Quiet,
            (false, true) => Voice::Verbose,
            (false, false) => Voice::Usual,
        }
    }
}

/// Reads `FORMAT=FILE`.
fn export(typed: &str) -> Result<(ExportFormat, PathBuf), String> {
    let names: Vec<&str> = ExportFormat::ALL.iter().map(|format| format.name()).collect();
    let Some((name, file)) = typed.split_once('=').filter(|(_, file)| !file.is_empty()) else {
        return Err(format!("give FORMAT=FILE, with FORMAT one of {}", names.join(", ")));
    };
    match ExportFormat::ALL.iter().find(|format| format.name() == name) {
        Some(format) => Ok((*format, PathBuf::from(file))),
        None => Err(format!("no format is called {name:?}; there are {}", names.join(", "))),
    }
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
    /// Restored recording; {name} stands for IN's name, - is standard output [default: {name}.restored.wav beside IN]
    #[arg(long, short, value_name = "OUT.wav|-")]
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

/// What is done with samples that are no numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NonFinite {
    /// End, naming the first
    Error,
    /// Take them for silence
    Zero,
}

/// A positive number of seconds.
fn seconds(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds > 0.0 => Ok(seconds),
        _ => Err("give a positive number of seconds".to_owned()),
    }
}

/// How the report's sound gets to the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AudioChoice {
    /// In the page
    Embedded,
    /// In the files beside the page
    Linked,
    /// Not at all
    None,
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
