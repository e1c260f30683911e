//! Partials: peaks linked from frame to frame, gaps explicit.
//!
//! The loudest partial chooses its continuation first: the nearest free peak within half a bin. A partial may miss
//! a few frames (another one beats against it); the missing frames are absent, never filled in.
//! (R. McAulay and T. Quatieri, 1986; X. Serra, 1990.)

use crate::audio::Audio;
use crate::error::Error;
use crate::peaks::{self, Peak, PeakConfig};
use crate::progress::{Observer, Stage};
use crate::sound::Sound;
use crate::stft::Stft;
use crate::threads::map_all;
use std::ops::Range;

/// How peaks are linked.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkConfig {
    /// A partial moves at most this many bins between frames. Struck strings hold their pitch: half a bin is
    /// generous, more would join neighbours.
    pub reach_bins: f32,
    /// Frames that a partial may miss before it ends.
    pub gap_frames: usize,
    /// Partials of fewer frames than this are dropped: they carry no decay.
    pub min_frames: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self { reach_bins: 0.5, gap_frames: 2, min_frames: 12 }
    }
}

/// Weight of the newest frame in a partial's running frequency.
const FREQUENCY_FOLLOW: f32 = 0.3;

/// Every partial of a recording.
///
/// **Shape.** Partial `p` is the points `first[p] .. first[p + 1]` of `frame`, `bin` and `level_db`, ascending in
/// frame. **Units.** Frames, bins (see [`Stft::bin_hz`]), dBFS.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Partials {
    /// Frames in the recording.
    pub frame_len: usize,
    /// Where each partial's points begin; one entry more than there are partials.
    pub first: Vec<usize>,
    /// Frame of each point.
    pub frame: Vec<u32>,
    /// Frequency of each point, in bins.
    pub bin: Vec<f32>,
    /// Level of each point.
    pub level_db: Vec<f32>,
}

impl Partials {
    /// Number of partials.
    #[must_use]
    pub fn track_len(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    /// What of them lies in the first `frame_len` frames.
    #[must_use]
    pub fn prefix(&self, frame_len: usize) -> Self {
        self.window(0..frame_len)
    }

    /// What of them lies in some frames, counted from the first of these.
    #[must_use]
    pub fn window(&self, frames: std::ops::Range<usize>) -> Self {
        let frame_len = frames.end.min(self.frame_len).saturating_sub(frames.start);
        let mut out = Self { frame_len, first: vec![0], ..Self::default() };
        for index in 0..self.track_len() {
            let track = self.track(index);
            let before = |end: usize| track.start + self.frame[track.clone()].partition_point(|&f| (f as usize) < end);
            let kept = before(frames.start)..before(frames.end);
            if kept.is_empty() {
                continue;
            }
            out.frame.extend(self.frame[kept.clone()].iter().map(|f| f - frames.start as u32));
            out.bin.extend_from_slice(&self.bin[kept.clone()]);
            out.level_db.extend_from_slice(&self.level_db[kept]);
            out.first.push(out.frame.len());
        }
        out
    }

    /// The point indices of one partial.
    #[must_use]
    pub fn track(&self, index: usize) -> std::ops::Range<usize> {
        self.first[index]..self.first[index + 1]
    }
}

/// A partial that may still go on.
#[derive(Debug, Default)]
struct Active {
    bin: f32,
    level_db: f32,
    points: Vec<(u32, Peak)>,
}

/// Links peaks frame by frame.
#[derive(Debug)]
struct Linker<'a> {
    config: &'a LinkConfig,
    active: Vec<Active>,
    done: Partials,
    taken: Vec<bool>,
    order: Vec<u64>,
    places: Places,
    spare: Vec<Vec<(u32, Peak)>>,
}

impl<'a> Linker<'a> {
    fn new(config: &'a LinkConfig) -> Self {
        let done = Partials { first: vec![0], ..Partials::default() };
        let (active, spare) = (Vec::new(), Vec::new());
        Self { config, active, done, taken: Vec::new(), order: Vec::new(), places: Places::default(), spare }
    }

    fn frame(&mut self, frame: u32, peaks: &[Peak]) {
        self.taken.clear();
        self.taken.resize(peaks.len(), false);
        self.order.clear();
        // Level and place in one number: the loudest first, of equally loud ones the older.
        let key = |(index, partial): (usize, &Active)| u64::from(!ascending(partial.level_db)) << 32 | index as u64;
        self.order.extend(self.active.iter().enumerate().map(key));
        self.order.sort_unstable();
        self.places.note(peaks);
        for &key in &self.order {
            let partial = &mut self.active[key as u32 as usize];
            let nearest = nearest_free(peaks, &self.places, &self.taken, partial.bin, self.config.reach_bins);
            let Some(k) = nearest else { continue };
            self.taken[k] = true;
            partial.bin += FREQUENCY_FOLLOW * (peaks[k].bin - partial.bin);
            partial.level_db = peaks[k].level_db;
            partial.points.push((frame, peaks[k]));
        }
        let oldest = (frame as usize).saturating_sub(self.config.gap_frames) as u32;
        let mut index = 0;
        while index < self.active.len() {
            if self.active[index].points.last().is_some_and(|&(last, _)| last >= oldest) {
                index += 1;
            } else {
                let partial = self.active.swap_remove(index);
                self.finish(partial);
            }
        }
        for (peak, _) in peaks.iter().zip(&self.taken).filter(|(_, taken)| !**taken) {
            let mut points = self.spare.pop().unwrap_or_default();
            points.push((frame, *peak));
            self.active.push(Active { bin: peak.bin, level_db: peak.level_db, points });
        }
    }

    fn finish(&mut self, mut partial: Active) {
        if partial.points.len() >= self.config.min_frames {
            self.done.frame.extend(partial.points.iter().map(|p| p.0));
            self.done.bin.extend(partial.points.iter().map(|p| p.1.bin));
            self.done.level_db.extend(partial.points.iter().map(|p| p.1.level_db));
            self.done.first.push(self.done.frame.len());
        }
        partial.points.clear();
        self.spare.push(partial.points);
    }

    fn end(mut self, frame_len: usize) -> Partials {
        for partial in std::mem::take(&mut self.active) {
            self.finish(partial);
        }
        self.done.frame_len = frame_len;
        self.done
    }
}

/// Bits in the order of [`f32::total_cmp`].
fn ascending(level_db: f32) -> u32 {
    let bits = level_db.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// Where the peaks of a frame begin that lie at or above each whole bin: asked for once a partial and frame.
#[derive(Debug, Default)]
struct Places {
    first: Vec<u32>,
}

impl Places {
    /// `peaks` ascend.
    fn note(&mut self, peaks: &[Peak]) {
        self.first.clear();
        for (index, peak) in peaks.iter().enumerate() {
            let bins = (peak.bin.max(0.0) as usize + 1).max(self.first.len());
            self.first.resize(bins, index as u32);
        }
    }

    /// The first of the peaks above `bin`.
    fn above(&self, peaks: &[Peak], bin: f32) -> usize {
        let Some(&first) = self.first.get(bin.max(0.0) as usize) else { return peaks.len() };
        let first = first as usize;
        first + peaks[first..].iter().take_while(|peak| peak.bin <= bin).count()
    }
}

/// Index of the free peak nearest to `bin` within `reach`; `peaks` ascend.
fn nearest_free(peaks: &[Peak], places: &Places, taken: &[bool], bin: f32, reach: f32) -> Option<usize> {
    let from = places.above(peaks, bin - reach);
    (from..peaks.len())
        .take_while(|&k| peaks[k].bin < bin + reach)
        .filter(|&k| !taken[k])
        .min_by(|&a, &b| (peaks[a].bin - bin).abs().total_cmp(&(peaks[b].bin - bin).abs()))
}

/// Follows the partials of a recording. All channels count as one: their powers are averaged.
///
/// # Errors
/// [`Error::Cancelled`] when the observer says so.
pub fn follow(
    audio: &Audio,
    stft: &Stft,
    peak_config: &PeakConfig,
    link_config: &LinkConfig,
    observer: &dyn Observer,
) -> Result<Partials, Error> {
    let frame_len = stft.frame_len(audio.sample_len());
    let mut told = |done: usize| observer.progress(Stage::Partials, done as f64 / frame_len as f64);
    follow_frames(audio, 0..frame_len, stft, peak_config, link_config, &mut told)
}

/// Frames whose peaks one thread finds at a time, and such chunks between one linking and the next.
const CHUNK_FRAMES: usize = 256;
const CHUNKS: usize = 8;

/// The peaks of some frames, one after the other.
#[derive(Debug, Default)]
struct ChunkPeaks {
    peaks: Vec<Peak>,
    /// End of each frame's peaks.
    ends: Vec<usize>,
}

/// Follows the partials in some frames of a recording; frames are then counted from the first of these. `go_on` hears how
/// many are done, and stops the work with `false`.
///
/// # Errors
/// [`Error::Cancelled`] when `go_on` says so; [`Error::Io`] where the samples cannot be read.
pub fn follow_frames(
    sound: &dyn Sound,
    frames: Range<usize>,
    stft: &Stft,
    peak_config: &PeakConfig,
    link_config: &LinkConfig,
    go_on: &mut dyn FnMut(usize) -> bool,
) -> Result<Partials, Error> {
    let starts = frames.clone().step_by(CHUNK_FRAMES).collect::<Vec<_>>();
    let mut linker = Linker::new(link_config);
    for batch in starts.chunks(CHUNKS) {
        // Frames are independent of each other until they are linked.
        let found =
            map_all(batch, |&start| chunk_peaks(sound, start..frames.end.min(start + CHUNK_FRAMES), stft, peak_config));
        for (found, &start) in found.into_iter().zip(batch) {
            if !go_on(start - frames.start) {
                return Err(Error::Cancelled);
            }
            let found = found?;
            let mut begin = 0;
            for (n, &end) in found.ends.iter().enumerate() {
                linker.frame((start - frames.start + n) as u32, &found.peaks[begin..end]);
                begin = end;
            }
        }
    }
    Ok(linker.end(frames.len()))
}

fn chunk_peaks(
    sound: &dyn Sound,
    frames: Range<usize>,
    stft: &Stft,
    peak_config: &PeakConfig,
) -> Result<ChunkPeaks, Error> {
    let mut channels = Vec::new();
    let end = (frames.end - 1) * stft.hop_samples() + stft.window_samples();
    sound.read(frames.start * stft.hop_samples()..end.min(sound.sample_len()), &mut channels)?;
    let mut scratch = stft.scratch();
    let mut power = vec![0.0; stft.bin_len()];
    let mut peaks = Vec::new();
    let mut out = ChunkPeaks::default();
    for n in 0..frames.len() {
        stft.power(&channels, n, &mut scratch, &mut power);
        peaks::find(&power, stft.bin_hz(), peak_config, &mut peaks);
        out.peaks.extend_from_slice(&peaks);
        out.ends.push(out.peaks.len());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(frames: &[&[(f32, f32)]], config: &LinkConfig) -> Partials {
        let mut linker = Linker::new(config);
        for (n, frame) in frames.iter().enumerate() {
            let peaks = frame.iter().map(|&(bin, level_db)| Peak { bin, level_db }).collect::<Vec<_>>();
            linker.frame(n as u32, &peaks);
        }
        linker.end(frames.len())
    }

    #[test]
    fn places_are_those_that_a_search_finds() {
        for bins in [&[][..], &[0.2, 0.7, 3.0, 3.01, 9.99, 10.0, 500.5], &[4.5]] {
            let peaks = bins.iter().map(|&bin| Peak { bin, level_db: 0.0 }).collect::<Vec<_>>();
            let mut places = Places { first: vec![7; 3] };
            places.note(&peaks);
            for k in -4..2100 {
                let bin = k as f32 * 0.25;
                assert_eq!(places.above(&peaks, bin), peaks.partition_point(|peak| peak.bin <= bin), "{bin}");
            }
        }
    }

    #[test]
    fn keys_are_in_the_order_of_levels() {
        let levels = [f32::NEG_INFINITY, -85.0, -20.5, -0.0, 0.0, 1e-9, 3.0, f32::INFINITY];
        assert!(levels.windows(2).all(|w| ascending(w[0]) < ascending(w[1])));
    }

    #[test]
    fn a_gap_is_bridged_but_not_filled() {
        let config = LinkConfig { min_frames: 2, ..LinkConfig::default() };
        let partials = link(&[&[(50.0, -20.0)], &[], &[(50.2, -21.0)], &[], &[], &[], &[(50.2, -22.0)]], &config);
        assert_eq!(partials.track_len(), 1);
        assert_eq!(partials.frame, vec![0, 2]);
    }

    #[test]
    fn the_louder_partial_chooses_first_and_neighbours_stay_apart() {
        let config = LinkConfig { min_frames: 2, ..LinkConfig::default() };
        let partials = link(&[&[(50.0, -20.0), (50.8, -40.0)], &[(50.3, -20.0)], &[(50.3, -20.0)]], &config);
        assert_eq!(partials.track_len(), 1);
        assert_eq!(partials.level_db, vec![-20.0; 3]);
    }
}
