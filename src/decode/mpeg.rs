//! Frame headers of MPEG audio and ADTS, only to recognise them. Source: ISO/IEC 11172-3 2.4.2.3, 13818-3, 13818-7 6.2.

/// MPEG audio layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    One,
    Two,
    Three,
}

/// Frames that must follow each other before a stream is believed: one sync word of 11 bits occurs by chance every
/// 2 kB, three consistent headers in a row practically never.
const FRAMES_IN_A_ROW: usize = 3;

/// What a frame header says, as far as neighbours must agree, and the frame's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    layer: Layer,
    /// Version and sample rate bits.
    kind: u16,
    len: usize,
    rate_hz: usize,
}

/// kbit/s by bitrate index 1..=14. Source: ISO/IEC 11172-3 table B.1 and 13818-3.
const KBIT_V1_L1: [usize; 14] = [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
const KBIT_V1_L2: [usize; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const KBIT_V1_L3: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KBIT_V2_L1: [usize; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
const KBIT_V2_L23: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

fn frame_at(data: &[u8], offset: usize) -> Option<Frame> {
    let [a, b, c, _] = super::source::field::bytes::<4>(data, offset)?;
    if a != 0xff || b & 0xe0 != 0xe0 {
        return None;
    }
    let version_1 = b & 0x18 == 0x18;
    let divisor = match b & 0x18 {
        0x18 => 1,
        0x10 => 2,
        0x00 => 4,
        _ => return None,
    };
    let rate_hz = [44_100, 48_000, 32_000].get(usize::from(c >> 2 & 3))? / divisor;
    let padding = usize::from(c >> 1 & 1);
    let index = usize::from(c >> 4).checked_sub(1)?;
    let (layer, table, samples_per_slot) = match (b >> 1 & 3, version_1) {
        (3, true) => (Layer::One, &KBIT_V1_L1, 12),
        (3, false) => (Layer::One, &KBIT_V2_L1, 12),
        (2, true) => (Layer::Two, &KBIT_V1_L2, 144),
        (2, false) => (Layer::Two, &KBIT_V2_L23, 144),
        (1, true) => (Layer::Three, &KBIT_V1_L3, 144),
        (1, false) => (Layer::Three, &KBIT_V2_L23, 72),
        _ => return None,
    };
    let slots = samples_per_slot * 1000 * table.get(index)? / rate_hz + padding;
    let len = if layer == Layer::One { slots * 4 } else { slots };
    Some(Frame { layer, kind: u16::from(b & 0x1e) << 8 | u16::from(c & 0x0c), len, rate_hz })
}

/// Finds the first offset at which `next` recognises enough frames in a row. A stream of fewer frames is believed when
/// its last one ends exactly with the data.
fn first_run<T: PartialEq + Copy>(
    data: &[u8],
    next: impl Fn(&[u8], usize) -> Option<(T, usize)>,
) -> Option<(T, usize)> {
    'offsets: for offset in 0..data.len() {
        let Some((kind, len)) = next(data, offset) else { continue };
        let mut end = offset.saturating_add(len);
        for _ in 1..FRAMES_IN_A_ROW {
            if end == data.len() && offset == 0 {
                break;
            }
            match next(data, end) {
                Some((other, len)) if other == kind => end = end.saturating_add(len),
                _ => continue 'offsets,
            }
        }
        return Some((kind, offset));
    }
    None
}

/// Layer and offset of the first MPEG audio frames.
pub(super) fn first_frames(data: &[u8]) -> Option<(Layer, usize)> {
    let next = |data: &[u8], offset| frame_at(data, offset).map(|frame| ((frame.layer, frame.kind), frame.len));
    first_run(data, next).map(|((layer, _), offset)| (layer, offset))
}

/// Offset of the first MP3 frame.
pub(super) fn mp3_start(data: &[u8]) -> Option<usize> {
    first_frames(data).map(|(_, offset)| offset)
}

/// A place in an MP3 stream where no frame begins although more frames follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gap {
    /// Time of the frames counted so far, in seconds.
    pub(super) time_s: f64,
    pub(super) len_bytes: u64,
}

/// Gaps that are looked for; a file with more is noise.
const MAX_GAPS: usize = 100;
/// Bytes searched at a time for the next frames.
const SEARCH_BYTES: usize = 64 * 1024;

/// Follows an MP3 stream from frame to frame. Symphonia passes over damage without a word, so it is found here.
///
/// What stands behind the last frame (tags) is no gap.
pub(super) fn gaps(source: &mut super::source::Source) -> std::io::Result<Vec<Gap>> {
    let mut gaps = Vec::new();
    let (mut at, mut time_s, mut kind) = (0u64, 0.0, None);
    let mut gap_start = None;
    while gaps.len() < MAX_GAPS && at < source.len() {
        let header = source.read_at(at, 4)?;
        match frame_at(&header, 0).filter(|frame| kind.is_none_or(|kind| kind == (frame.layer, frame.kind))) {
            Some(frame) => {
                if let Some(start) = gap_start.take() {
                    gaps.push(Gap { time_s, len_bytes: at - start });
                }
                kind = Some((frame.layer, frame.kind));
                let is_version_1 = frame.kind & 0x1800 == 0x1800;
                time_s += if is_version_1 { 1152.0 } else { 576.0 } / frame.rate_hz as f64;
                at += frame.len as u64;
            }
            None => {
                gap_start = gap_start.or(Some(at));
                let ahead = source.read_at(at + 1, SEARCH_BYTES)?;
                // Frames of the stream's own kind only: others would be looked at again one by one, a window each.
                let own = |data: &[u8], offset| {
                    let frame = frame_at(data, offset)?;
                    let found = (frame.layer, frame.kind);
                    (kind.is_none() || kind == Some(found)).then_some((found, frame.len))
                };
                let found = first_run(&ahead, own).map(|(_, offset)| offset);
                if ahead.len() < SEARCH_BYTES && found.is_none() {
                    break;
                }
                // Frames that straddle the search window's end are found by the next one, which overlaps.
                let step = found.unwrap_or(ahead.len().saturating_sub(SEARCH_BYTES / 4));
                at += 1 + step as u64;
            }
        }
    }
    Ok(gaps)
}

/// Offset of the first ADTS frame; it must be at the beginning, where every recorder puts it.
pub(super) fn adts_start(data: &[u8]) -> Option<usize> {
    let next = |data: &[u8], offset: usize| {
        let [a, b, c, d, e, f, _] = super::source::field::bytes::<7>(data, offset)?;
        let len = usize::from(d & 3) << 11 | usize::from(e) << 3 | usize::from(f >> 5);
        let sound = a == 0xff && b & 0xf6 == 0xf0 && c >> 2 & 0xf < 13 && len >= 7;
        sound.then_some(((b & 8, c & 0xfd), len))
    };
    let (_, offset) = first_run(data.get(..)?, next)?;
    (offset == 0).then_some(0)
}
