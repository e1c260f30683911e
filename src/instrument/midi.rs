//! Passages from standard MIDI files.
//!
//! Notes and the sustaining pedal (controller 64, down from 64 on) of all tracks and channels but that of the drums. A key
//! that is struck again while it is down is let go first. Notes beyond the piano's keys are left out, and counted.

use super::passage::{Note, Passage, Pedal};
use super::strings::KEYS;
use crate::error::Error;
use midly::{Format, MetaMessage, MidiMessage, Smf, Timing, TrackEventKind};
use std::path::Path;

/// Where the frame rate of a timecode stands, counted from the beginning of the header chunk.
const TIMECODE_AT: usize = 12;

/// Channel of the drums, from 0.
const DRUMS: u8 = 9;
/// The sustaining pedal's controller, and from which value it is down.
const SUSTAIN: u8 = 64;
const DOWN_FROM: u8 = 64;
/// Tempo before the file sets one: 120 beats a minute.
const DEFAULT_US_PER_BEAT: f64 = 500_000.0;

/// A MIDI file as a passage.
#[derive(Debug, Clone, PartialEq)]
pub struct FromMidi {
    /// The notes and the pedal.
    pub passage: Passage,
    /// Notes outside the piano's 88 keys, which are left out.
    pub out_of_range_len: usize,
}

/// Reads a MIDI file from memory; `path` only names it in errors.
///
/// # Errors
/// [`Error::Malformed`] where it is no MIDI file, or has no note of the piano's keys; [`Error::Unsupported`] where its
/// tracks are independent songs (format 2).
pub fn read(bytes: &[u8], path: &Path) -> Result<FromMidi, Error> {
    let malformed =
        |cause: String, remedy: &str| Error::Malformed { path: path.to_owned(), cause, remedy: remedy.to_owned() };
    let remedy = "give a standard MIDI file (.mid)";
    // midly negates the frame rate of a timecode, which overflows for -128.
    let is_overflowing = |at: usize| bytes.get(at + TIMECODE_AT) == Some(&0x80);
    if bytes.windows(4).enumerate().any(|(at, id)| id == b"MThd" && is_overflowing(at)) {
        return Err(malformed("it cannot be read as MIDI: a timecode of 128 frames a second".to_owned(), remedy));
    }
    let smf = Smf::parse(bytes).map_err(|e| malformed(format!("it cannot be read as MIDI: {e}"), remedy))?;
    if smf.header.format == Format::Sequential {
        return Err(Error::Unsupported {
            path: path.to_owned(),
            what: "a MIDI file of several songs (format 2)".to_owned(),
            remedy: "save one of them as format 0 or 1".to_owned(),
        });
    }
    let mut events = Vec::new();
    for (track, list) in smf.tracks.iter().enumerate() {
        let mut tick = 0u64;
        for event in list {
            tick += u64::from(event.delta.as_int());
            events.push((tick, track, event.kind));
        }
    }
    // Stable: within a track the file's order stays.
    events.sort_by_key(|(tick, track, _)| (*tick, *track));
    let mut us_per_beat = DEFAULT_US_PER_BEAT;
    let seconds_per_tick = |us_per_beat: f64| match smf.header.timing {
        Timing::Metrical(ticks) => us_per_beat * 1e-6 / f64::from(ticks.as_int().max(1)),
        Timing::Timecode(fps, ticks) => 1.0 / f64::from(fps.as_f32()) / f64::from(ticks.max(1)),
    };
    let mut reader = Reader::default();
    let (mut now_s, mut last_tick) = (0.0, 0);
    for (tick, _, kind) in events {
        now_s += (tick - last_tick) as f64 * seconds_per_tick(us_per_beat);
        last_tick = tick;
        match kind {
            TrackEventKind::Meta(MetaMessage::Tempo(us)) => us_per_beat = f64::from(us.as_int()).max(1.0),
            TrackEventKind::Midi { channel, message } if channel.as_int() != DRUMS => reader.hear(now_s, message),
            _ => {}
        }
    }
    reader.finish(now_s);
    if reader.passage.notes.is_empty() {
        return Err(malformed("it has no note of the piano's keys".to_owned(), "give a file with piano music"));
    }
    Ok(FromMidi { passage: reader.passage, out_of_range_len: reader.out_of_range_len })
}

/// Turns messages into notes.
struct Reader {
    passage: Passage,
    out_of_range_len: usize,
    /// Strike of each key that is down: time and velocity.
    down: [Option<(f64, u8)>; 128],
}

impl Default for Reader {
    fn default() -> Self {
        Self { passage: Passage::default(), out_of_range_len: 0, down: [None; 128] }
    }
}

impl Reader {
    fn hear(&mut self, now_s: f64, message: MidiMessage) {
        match message {
            MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => {
                self.release(now_s, key.as_int());
                self.down[usize::from(key.as_int())] = Some((now_s, vel.as_int()));
            }
            MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => self.release(now_s, key.as_int()),
            MidiMessage::Controller { controller, value } if controller.as_int() == SUSTAIN => {
                let is_down = value.as_int() >= DOWN_FROM;
                if self.passage.pedal.last().is_some_and(|pedal| pedal.is_down) != is_down {
                    self.passage.pedal.push(Pedal { time_s: now_s, is_down });
                }
            }
            _ => {}
        }
    }

    fn release(&mut self, now_s: f64, key: u8) {
        let Some((onset_s, velocity)) = self.down[usize::from(key)].take() else { return };
        if KEYS.contains(&key) {
            self.passage.notes.push(Note { key, velocity, onset_s, release_s: now_s });
        } else {
            self.out_of_range_len += 1;
        }
    }

    /// Keys and pedal that were never let go are, at the end.
    fn finish(&mut self, now_s: f64) {
        (0..128).for_each(|key| self.release(now_s, key));
        if self.passage.pedal.last().is_some_and(|pedal| pedal.is_down) {
            self.passage.pedal.push(Pedal { time_s: now_s, is_down: false });
        }
        self.passage.notes.sort_by(|a, b| a.onset_s.total_cmp(&b.onset_s).then(a.key.cmp(&b.key)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    /// A file of one track with 100 ticks a beat.
    fn file(events: &[u8]) -> Vec<u8> {
        let mut out = b"MThd\0\0\0\x06\0\0\0\x01\0\x64MTrk".to_vec();
        out.extend((events.len() as u32 + 4).to_be_bytes());
        out.extend(events);
        out.extend([0, 0xff, 0x2f, 0]);
        out
    }

    fn parse(events: &[u8]) -> Result<FromMidi, Error> {
        read(&file(events), Path::new("a.mid"))
    }

    #[test]
    fn times_follow_the_tempo_and_the_pedal_is_read() {
        let events = [
            &[0, 0x90, 60, 100][..],                 // C4 at 0
            &[100, 0xff, 0x51, 3, 0x0f, 0x42, 0x40], // after a beat of 0.5 s: 1 s a beat
            &[0, 0xb0, 64, 127],                     // pedal down at 0.5 s
            &[50, 0x80, 60, 0],                      // C4 up at 1.0 s
            &[0, 0xb0, 64, 100],                     // still down
            &[100, 0xb0, 64, 0],                     // up at 2.0 s
        ]
        .concat();
        let read = parse(&events).unwrap();
        assert_eq!(read.passage.notes, [Note { key: 60, velocity: 100, onset_s: 0.0, release_s: 1.0 }]);
        let pedal: Vec<(f64, bool)> = read.passage.pedal.iter().map(|p| (p.time_s, p.is_down)).collect();
        assert_eq!(pedal, [(0.5, true), (2.0, false)]);
    }

    #[test]
    fn repeated_hanging_and_foreign_notes_are_sorted_out() {
        let events = [
            &[0, 0x90, 60, 50][..],
            &[100, 0x90, 60, 70], // struck again while down
            &[0, 0x99, 62, 70],   // drums
            &[0, 0x90, 10, 70],   // below the piano
            &[100, 0xb0, 64, 127],
            &[100, 0xff, 1, 0], // some text, 1.5 s: the end
        ]
        .concat();
        let read = parse(&events).unwrap();
        let notes: Vec<(u8, f64, f64)> =
            read.passage.notes.iter().map(|n| (n.velocity, n.onset_s, n.release_s)).collect();
        assert_eq!(notes, [(50, 0.0, 0.5), (70, 0.5, 1.5)]);
        assert_eq!(read.out_of_range_len, 1);
        assert!(!read.passage.pedal.last().unwrap().is_down);
    }

    #[test]
    fn what_is_no_piano_music_is_refused() {
        let told = |bytes: &[u8]| read(bytes, Path::new("a.mid")).unwrap_err().to_string();
        assert!(told(b"RIFF").contains("a.mid: it cannot be read as MIDI"));
        assert!(told(b"").contains("cannot be read"));
        assert!(told(&file(&[])).contains("no note"));
        let mut several = file(&[0, 0x90, 60, 50]);
        several[9] = 2;
        assert!(told(&several).contains("format 2"));
        // Cut anywhere, changed anywhere: an error or a passage, never a panic.
        let whole = file(&[0, 0x90, 60, 50, 100, 0x80, 60, 0]);
        for cut in 0..whole.len() {
            let _ = read(&whole[..cut], Path::new("a.mid"));
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[cut] = value;
                let _ = read(&changed, Path::new("a.mid"));
            }
        }
    }
}
