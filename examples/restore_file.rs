//! Restore a file: read, analyse, undo, write.
//!
//! ```text
//! cargo run --release --example restore_file -- [IN] [OUT.wav]
//! ```
//! Without arguments the recording that comes with the project is restored, and nothing is written.

use agcfix::encode::{BitDepth, write_wav_file};
use agcfix::{Config, Verdict, analyze, decode, restore};
use std::path::PathBuf;

fn main() -> Result<(), agcfix::Error> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/prelude-phone.m4a");
    let input = arguments.next().unwrap_or_else(|| shipped.into());

    let recording = decode::read(&input)?;
    for warning in &recording.warnings {
        eprintln!("{}: {warning}", input.display());
    }
    let config = Config::default();
    let analysis = analyze(&recording.audio, &config, &())?;
    if let Verdict::Undecided { reason } = &analysis.verdict {
        println!("{}: cannot tell, {reason}; left as it is", input.display());
        return Ok(());
    }
    let restored = restore(&recording.audio, &analysis, &config)?;
    println!("{}: {} events undone", input.display(), analysis.events.len());
    println!("overall gain {:.1} dB, true peak {:.1} dBTP", restored.overall_gain_db, restored.true_peak_dbtp);
    if let Some(output) = arguments.next() {
        write_wav_file(&output, false, &restored.audio, BitDepth::Int24)?;
        println!("written: {}", output.display());
    }
    Ok(())
}
