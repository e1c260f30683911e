//! Undo a phone's automatic gain control (AGC) on piano recordings, by physics.
//!
//! Every partial of a struck string decays as `A(t) = A0 e^(-αt)`. A gain control multiplies all partials by one
//! gain `g(t)` and so breaks that law for all of them at once. In decibels, for partial `p`:
//!
//! ```text
//! m_p(t) = a_p - d_p t + c_p e^(-t/τ) + G(t) + noise        G = 20 log10 g
//! ```
//!
//! Decay is therefore a reference signal that every recording carries. The stages, from sound to restored sound:
//!
//! [`audio`] → [`stft`] → [`peaks`] → [`partials`] → [`decay`] → [`evidence`] → [`fit`] (over [`law`]) → [`events`]
//! → [`mod@restore`]
//!
//! Two things a recording cannot tell: a constant offset of `G` (an overall volume), and a straight line in `G` over
//! a whole passage (it looks like slower decay everywhere). See `docs/model.md`.
//!
//! # In ten lines
//!
//! ```no_run
//! use agcfix::{Config, Verdict, analyze, restore};
//! # #[cfg(feature = "decode")] {
//! let recording = agcfix::decode::read("take.m4a".as_ref())?;
//! let config = Config::default();
//! let analysis = analyze(&recording.audio, &config, &())?;
//! match &analysis.verdict {
//!     Verdict::Agc => println!("undone: {:?}", restore(&recording.audio, &analysis, &config)?.true_peak_dbtp),
//!     Verdict::None => println!("nothing to undo"),
//!     Verdict::Undecided { reason } => println!("cannot tell: {reason}"),
//! }
//! # }
//! # Ok::<(), agcfix::Error>(())
//! ```
//!
//! # Stage by stage
//!
//! Every stage can be used on its own. Here a string is followed and its decay measured; nothing about gain yet:
//!
//! ```
//! use agcfix::{Audio, Config, decay, partials, stft::Stft};
//!
//! // A second of A4 that fades by 12 dB/s.
//! let rate_hz = 16_000;
//! let string = |n: u32| {
//!     let t = f64::from(n) / f64::from(rate_hz);
//!     (0.5 * 10f64.powf(-12.0 * t / 20.0) * (std::f64::consts::TAU * 440.0 * t).sin()) as f32
//! };
//! let audio = Audio::new(rate_hz, vec![(0..rate_hz).map(string).collect()])?;
//!
//! let config = Config::default();
//! let stft = Stft::new(&config.stft, f64::from(rate_hz))?;
//! let partials = partials::follow(&audio, &stft, &config.peaks, &config.link, &())?;
//! let segments = decay::segments(&partials, &[], stft.hop_s(), &config.decay);
//! let points = segments[0].points.clone();
//! let time_s: Vec<f64> = points.clone().map(|i| f64::from(partials.frame[i]) * stft.hop_s()).collect();
//! let level_db: Vec<f64> = points.map(|i| f64::from(partials.level_db[i])).collect();
//! let fit = decay::fit(&time_s, &level_db, &config.decay).unwrap();
//! assert!((fit.decay_db_per_s - 12.0).abs() < 0.2);
//! # Ok::<(), agcfix::Error>(())
//! ```
//!
//! A gain law is run over samples, forwards on what was played or backwards on what was recorded:
//!
//! ```
//! use agcfix::law::{Compressor, Direction, Smoothed, gain_of};
//!
//! let played: Vec<f32> = (0..8_000).map(|n| 0.5 * (n as f32 * 0.2).sin()).collect();
//! let law = Compressor::new(Smoothed::Power);
//! let constants = [-30.0, 0.75, 6.0, 0.005, 0.2];
//! let gain = gain_of(&law, &constants, 8_000.0, &played, Direction::Forward);
//! let recorded: Vec<f32> = played.iter().zip(&gain).map(|(x, g)| x * g).collect();
//! let found = gain_of(&law, &constants, 8_000.0, &recorded, Direction::Inverse);
//! assert!(gain.iter().zip(&found).all(|(a, b)| (a / b - 1.0).abs() < 0.01));
//! ```
//!
//! The shipped examples go on from here: `analyze_buffer`, `restore_file`, `own_law` (a gain law of one's own),
//! `follow_and_stop` (progress and cancellation from another thread), `known_curve_blocks` (block by block).
//!
//! # Features
//!
//! | feature | gives | on by default |
//! |---|---|---|
//! | `decode` | reading WAV, m4a, MP3, FLAC, Ogg, AIFF, CAF | yes |
//! | `files` | writing files that appear whole or not at all | with `cli` |
//! | `plot` | [`report::plot`](report): pictures as PNG and SVG | yes |
//! | `page` | [`report::page`](report): the HTML report | yes |
//! | `pairs` | [`pair`], [`profile`]: two recordings of one performance, device profiles | yes |
//! | `presets` | [`simulate::preset`]: chains by name and from TOML | yes |
//! | `midi` | [`instrument::midi`]: passages from MIDI files | yes |
//! | `dataset` | [`dataset`]: many recordings by a manifest | with `cli` |
//! | `parallel` | several laws tried at once; results do not depend on it | yes |
//! | `cli` | the `agcfix` program, and all of the above | yes |
//!
//! With `default-features = false` the library reads, writes and draws nothing, and builds for WebAssembly; for
//! `wasm32-unknown-unknown` with `--cfg getrandom_backend="unsupported"` among the rustflags, because a dependency brings
//! `getrandom` along, which nothing calls.
//!
//! # What may change
//!
//! Configurations gain fields: start from `Config::default()` and set what you mean. Enumerations that will grow are
//! `#[non_exhaustive]`; [`Verdict`] is not, because its three outcomes are the contract. The JSON document has a version of
//! its own (`docs/json.md`).

// In the order of the story: ground floor, sound to decays, gain laws, what a recording tells, what is done with it.
pub mod error;
pub mod units;
pub mod text;
pub mod audio;
pub mod sound;
mod threads;
pub mod metadata;
pub mod progress;
#[cfg(feature = "decode")]
pub mod decode;
pub mod stft;
pub mod peaks;
pub mod partials;
pub mod decay;
pub mod onsets;
pub mod law;
pub mod evidence;
pub mod fit;
pub mod analysis;
pub mod events;
pub mod analyze;
pub mod gain_csv;
pub mod restore;
pub mod simulate;
pub mod instrument;
#[cfg(feature = "pairs")]
pub mod pair;
#[cfg(feature = "pairs")]
pub mod profile;
#[cfg(feature = "dataset")]
pub mod dataset;
pub mod report;
pub mod encode;

pub use analysis::{Analysis, Verdict};
pub use analyze::{Config, analyze, analyze_sound};
pub use audio::Audio;
pub use error::Error;
pub use restore::{Restored, restore, restore_sound};
pub use sound::Sound;
