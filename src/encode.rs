//! Writing WAV files: 16 bit with dither, 24 bit, or 32-bit float.
//!
//! The header is written here and not by hound, which leaves out the pad byte behind an odd number of bytes, stops without a
//! word at 4 GiB and knows no other chunks. Beyond 4 GiB the file becomes an RF64 file, which programs that read broadcast
//! recordings read as well. Source: Microsoft/IBM RIFF (1991); Microsoft, `WAVEFORMATEX` and `WAVEFORMATEXTENSIBLE`: more than
//! two channels or more than 16 bits need the extensible header; EBU Tech 3306 (RF64).

use crate::audio::Audio;
use crate::metadata::{Chunk, Metadata};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::io::{self, Write};

#[cfg(feature = "files")]
pub use whole::{Abort, Batch, abort_all, write_atomically, write_wav_file};

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BitDepth {
    /// 16-bit integers, with triangular dither of ±1 step from a fixed seed. A recording whose every sample is already a
    /// 16-bit value is written unchanged.
    Int16,
    /// 24-bit integers, rounded: the step of -138 dBFS is below any microphone's noise, so dither would hide nothing.
    #[default]
    Int24,
    /// 32-bit floating point: bit-identical to memory, values beyond ±1 included.
    Float32,
}

impl BitDepth {
    /// Bytes of one sample.
    #[must_use]
    pub fn sample_bytes(self) -> usize {
        match self {
            Self::Int16 => 2,
            Self::Int24 => 3,
            Self::Float32 => 4,
        }
    }
}

/// What writing had to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Samples, counted over all channels, that were beyond full scale and were clamped to it; always 0 for
    /// [`BitDepth::Float32`].
    pub clamped_len: u64,
}

/// Seed of the dither: a constant, so that the same input gives the same file.
const DITHER_SEED: u64 = 0x6167_6366_6978;

const TAG_PCM: u16 = 1;
const TAG_FLOAT: u16 = 3;
const TAG_EXTENSIBLE: u16 = 0xfffe;
/// Bytes of a sub-format GUID behind its format tag.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
/// Frames that are converted at a time.
const BLOCK_FRAMES: usize = 8192;

/// Writes a WAV file, front to back (a pipe will do).
///
/// Level `x` becomes `round(2^(b-1) x)`, clamped to the integer's range. Channels, rate and number of samples are the
/// recording's. A file of more than 4 GiB is RF64.
///
/// # Errors
/// Whatever the writer says.
pub fn write_wav(writer: impl Write, audio: &Audio, bits: BitDepth) -> io::Result<Written> {
    write_wav_with(writer, audio, bits, &Metadata::default())
}

/// Writes a WAV file with what the recording says about itself.
///
/// # Errors
/// As [`write_wav`].
pub fn write_wav_with(writer: impl Write, audio: &Audio, bits: BitDepth, metadata: &Metadata) -> io::Result<Written> {
    let channels = audio.channels();
    let shape = Shape {
        sample_rate_hz: audio.sample_rate_hz(),
        channel_len: channels.len(),
        sample_len: audio.sample_len(),
        is_on_16_bit_grid: bits == BitDepth::Int16 && is_on_grid(channels, 16),
    };
    let mut wav = WavWriter::new(writer, shape, bits, metadata)?;
    wav.push(&channels.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    wav.finish(metadata)
}

/// What has to be known of a recording before its first sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Channels.
    pub channel_len: usize,
    /// Samples in each channel.
    pub sample_len: usize,
    /// Whether every sample is a 16-bit value already ([`is_on_16_bit_grid`]): 16-bit files then need no dither.
    pub is_on_16_bit_grid: bool,
}

/// Writes a WAV file block by block, front to back: the same bytes as [`write_wav_with`] writes of the whole.
#[derive(Debug)]
pub struct WavWriter<W> {
    writer: W,
    bits: BitDepth,
    shape: Shape,
    dither: Option<ChaCha8Rng>,
    written: Written,
    frames: Vec<f32>,
    block: Vec<u8>,
}

impl<W: Write> WavWriter<W> {
    /// Writes what comes before the samples.
    ///
    /// # Errors
    /// Whatever the writer says.
    pub fn new(mut writer: W, shape: Shape, bits: BitDepth, metadata: &Metadata) -> io::Result<Self> {
        writer.write_all(&header(shape.channel_len, shape.sample_rate_hz, shape.sample_len, bits, metadata)?)?;
        let is_dithered = bits == BitDepth::Int16 && !shape.is_on_16_bit_grid;
        let dither = is_dithered.then(|| ChaCha8Rng::seed_from_u64(DITHER_SEED));
        let written = Written::default();
        Ok(Self { writer, bits, shape, dither, written, frames: Vec::new(), block: Vec::new() })
    }

    /// Writes samples: one slice a channel, all of one length.
    ///
    /// # Errors
    /// Whatever the writer says.
    pub fn push(&mut self, channels: &[impl AsRef<[f32]>]) -> io::Result<()> {
        let sample_len = channels.iter().map(|c| c.as_ref().len()).min().unwrap_or(0);
        for start in (0..sample_len).step_by(BLOCK_FRAMES) {
            let end = sample_len.min(start + BLOCK_FRAMES);
            let planes = channels.iter().map(|c| &c.as_ref()[start..end]).collect::<Vec<_>>();
            self.convert(&planes);
            self.writer.write_all(&self.block)?;
        }
        Ok(())
    }

    fn convert(&mut self, planes: &[&[f32]]) {
        let Self { bits, dither, written, frames, block, .. } = self;
        interleave(planes, frames);
        block.resize(frames.len() * bits.sample_bytes(), 0);
        match bits {
            BitDepth::Float32 => put(frames, block, f32::to_le_bytes),
            BitDepth::Int16 => put(frames, block, |x| {
                let dither = dither.as_mut().map_or(0.0, triangular);
                (quantized(x, 16, dither, written) as i16).to_le_bytes()
            }),
            BitDepth::Int24 => written.clamped_len += put_24(frames, block),
        }
    }

    /// Writes what comes behind the samples; `metadata` as for [`WavWriter::new`].
    ///
    /// # Errors
    /// Whatever the writer says.
    pub fn finish(mut self, metadata: &Metadata) -> io::Result<Written> {
        let Shape { sample_len, channel_len, .. } = self.shape;
        if !(sample_len * channel_len * self.bits.sample_bytes()).is_multiple_of(2) {
            self.writer.write_all(&[0])?;
        }
        self.writer.write_all(&chunks_bytes(&metadata.after))?;
        self.writer.flush()?;
        Ok(self.written)
    }
}

/// The samples of all channels, frame by frame.
fn interleave(planes: &[&[f32]], frames: &mut Vec<f32>) {
    frames.resize(planes.iter().map(|plane| plane.len()).sum(), 0.0);
    if let [left, right] = planes {
        for (frame, (left, right)) in frames.as_chunks_mut().0.iter_mut().zip(left.iter().zip(*right)) {
            *frame = [*left, *right];
        }
        return;
    }
    for (c, plane) in planes.iter().enumerate() {
        frames.iter_mut().skip(c).step_by(planes.len()).zip(*plane).for_each(|(out, x)| *out = *x);
    }
}

/// The bytes of every sample.
fn put<const N: usize>(samples: &[f32], block: &mut [u8], mut bytes: impl FnMut(f32) -> [u8; N]) {
    for (out, x) in block.as_chunks_mut().0.iter_mut().zip(samples) {
        *out = bytes(*x);
    }
}

/// The three bytes of every sample, and how many were clamped: as [`quantized`], in loops that become vector instructions.
///
/// Exact in `f32`: a power of two scales without rounding, and beyond full scale every `f32` is whole.
fn put_24(samples: &[f32], block: &mut [u8]) -> u64 {
    const SCALE: f32 = 8_388_608.0;
    let integer = |x: f32| {
        let value = (x * SCALE).clamp(-SCALE, SCALE - 1.0);
        let whole = value as i32;
        let rest = value - whole as f32;
        whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
    };
    let (fours, rest) = samples.as_chunks::<4>();
    let (twelves, rest_bytes) = block.split_at_mut(12 * fours.len());
    for (out, four) in twelves.as_chunks_mut::<12>().0.iter_mut().zip(fours) {
        let [a, b, c, d] = four.map(|x| integer(x) as u32);
        let words = [a & 0xff_ffff | b << 24, b >> 8 & 0xffff | c << 16, c >> 16 & 0xff | d << 8];
        for (out, word) in out.as_chunks_mut().0.iter_mut().zip(words) {
            *out = word.to_le_bytes();
        }
    }
    put(rest, rest_bytes, |x| {
        let [a, b, c, _] = integer(x).to_le_bytes();
        [a, b, c]
    });
    // A full-scale +1 misses the largest integer by a step: that is not clipping.
    let is_clamped = |x: &f32| x * SCALE > SCALE + 1.0 || x * SCALE < -SCALE - 2.0;
    samples.iter().map(|x| u64::from(is_clamped(x))).sum()
}

/// Whether every sample is exactly a 16-bit integer.
#[must_use]
pub fn is_on_16_bit_grid(channels: &[Vec<f32>]) -> bool {
    is_on_grid(channels, 16)
}

/// A size field that says "see the ds64 chunk".
const SIZE_ELSEWHERE: u32 = u32::MAX;
/// Bytes of a `ds64` chunk without a table: three sizes of 64 bits and the table's length.
const DS64_BYTES: u32 = 28;

/// Everything before the first sample.
fn header(
    channel_len: usize,
    sample_rate_hz: u32,
    sample_len: usize,
    bits: BitDepth,
    metadata: &Metadata,
) -> io::Result<Vec<u8>> {
    let too_large =
        || io::Error::new(io::ErrorKind::FileTooLarge, "a WAV file cannot hold so many channels or samples");
    let sample_bytes = bits.sample_bytes() as u16;
    let channel_count = u16::try_from(channel_len).map_err(|_| too_large())?;
    let block_align = channel_count.checked_mul(sample_bytes).ok_or_else(too_large)?;
    let data_len = (sample_len as u64).checked_mul(u64::from(block_align)).ok_or_else(too_large)?;
    let (tag, is_float) = if bits == BitDepth::Float32 { (TAG_FLOAT, true) } else { (TAG_PCM, false) };
    let is_extensible = channel_len > 2 || bits == BitDepth::Int24;

    let mut fmt = Vec::with_capacity(40);
    fmt.extend((if is_extensible { TAG_EXTENSIBLE } else { tag }).to_le_bytes());
    fmt.extend(channel_count.to_le_bytes());
    fmt.extend(sample_rate_hz.to_le_bytes());
    fmt.extend(sample_rate_hz.saturating_mul(u32::from(block_align)).to_le_bytes());
    fmt.extend(block_align.to_le_bytes());
    fmt.extend((sample_bytes * 8).to_le_bytes());
    if is_extensible {
        fmt.extend(22u16.to_le_bytes());
        fmt.extend((sample_bytes * 8).to_le_bytes());
        fmt.extend(speakers(channel_len).to_le_bytes());
        fmt.extend(tag.to_le_bytes());
        fmt.extend(GUID_TAIL);
    } else if is_float {
        fmt.extend(0u16.to_le_bytes());
    }
    let mut chunks = Vec::with_capacity(80);
    chunks.extend(b"fmt ");
    chunks.extend((fmt.len() as u32).to_le_bytes());
    chunks.extend(&fmt);
    if is_float {
        // Formats other than PCM are to have a fact chunk with the number of frames.
        chunks.extend(b"fact");
        chunks.extend(4u32.to_le_bytes());
        chunks.extend(u32::try_from(sample_len).unwrap_or(SIZE_ELSEWHERE).to_le_bytes());
    }
    chunks.extend(chunks_bytes(&metadata.before));
    chunks.extend(b"data");
    let behind_len: u64 = metadata.after.iter().map(|chunk| 8 + chunk.payload.len().next_multiple_of(2) as u64).sum();
    // "WAVE", the chunks, the size field of `data`, the samples and their pad byte, the chunks behind them.
    let riff_len = (4 + chunks.len() as u64 + 4 + behind_len)
        .checked_add(data_len)
        .and_then(|len| len.checked_add(data_len % 2))
        .ok_or_else(too_large)?;

    let mut out = Vec::with_capacity(chunks.len() + 60);
    match (u32::try_from(riff_len), u32::try_from(data_len)) {
        (Ok(riff_len), Ok(data_len)) if riff_len < SIZE_ELSEWHERE => {
            out.extend(b"RIFF");
            out.extend(riff_len.to_le_bytes());
            out.extend(b"WAVE");
            out.extend(chunks);
            out.extend(data_len.to_le_bytes());
        }
        _ => {
            out.extend(b"RF64");
            out.extend(SIZE_ELSEWHERE.to_le_bytes());
            out.extend(b"WAVEds64");
            out.extend(DS64_BYTES.to_le_bytes());
            out.extend((riff_len.checked_add(8 + u64::from(DS64_BYTES)).ok_or_else(too_large)?).to_le_bytes());
            out.extend(data_len.to_le_bytes());
            out.extend((sample_len as u64).to_le_bytes());
            out.extend(0u32.to_le_bytes());
            out.extend(chunks);
            out.extend(SIZE_ELSEWHERE.to_le_bytes());
        }
    }
    Ok(out)
}

/// Chunks as they stand in the file, each with the pad byte that an odd length needs. A chunk that no size field can tell
/// was never read from a file; it is left out.
fn chunks_bytes(chunks: &[Chunk]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in chunks {
        let Ok(len) = u32::try_from(chunk.payload.len()) else { continue };
        out.extend(chunk.id);
        out.extend(len.to_le_bytes());
        out.extend(&chunk.payload);
        if len % 2 == 1 {
            out.push(0);
        }
    }
    out
}

/// Speaker mask: the usual places for mono and stereo, none beyond (0: channels in order, no places claimed).
fn speakers(channel_len: usize) -> u32 {
    const FRONT_LEFT: u32 = 1;
    const FRONT_RIGHT: u32 = 2;
    const FRONT_CENTER: u32 = 4;
    match channel_len {
        1 => FRONT_CENTER,
        2 => FRONT_LEFT | FRONT_RIGHT,
        _ => 0,
    }
}

/// Whether every sample is exactly a `bits`-bit integer.
fn is_on_grid(channels: &[Vec<f32>], bits: i32) -> bool {
    let scale = 2f32.powi(bits - 1);
    channels.iter().flatten().all(|x| {
        let scaled = x * scale;
        scaled.fract() == 0.0 && (-scale..scale).contains(&scaled)
    })
}

/// One step of triangular dither: the difference of two uniform numbers, from -1 to 1.
fn triangular(random: &mut ChaCha8Rng) -> f64 {
    // 2^-32: uniform in 0..1.
    let mut uniform = || f64::from(random.next_u32()) / 4_294_967_296.0;
    uniform() - uniform()
}

/// As [`f64::round`], which is a call for every sample, for all values that are not far beyond full scale.
#[inline]
fn rounded(value: f64) -> f64 {
    // `as` saturates; what is beyond its range is beyond full scale as well.
    let whole = value as i64 as f64;
    let rest = value - whole;
    whole
        + if rest >= 0.5 {
            1.0
        } else if rest <= -0.5 {
            -1.0
        } else {
            0.0
        }
}

#[inline]
fn quantized(x: f32, bits: i32, dither: f64, written: &mut Written) -> i32 {
    let scale = f64::from(1u32 << (bits - 1));
    let value = rounded(f64::from(x) * scale + dither);
    let clamped = value.clamp(-scale, scale - 1.0);
    // A full-scale +1 (or the dither on top) misses the largest integer by a step or two: that is not clipping.
    written.clamped_len += u64::from((value - clamped).abs() > 2.0);
    clamped as i32
}

#[cfg(feature = "files")]
mod whole;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
    use super::*;

    fn audio(channels: Vec<Vec<f32>>) -> Audio {
        Audio::new(48_000, channels).unwrap()
    }

    fn bytes(audio: &Audio, bits: BitDepth) -> (Vec<u8>, Written) {
        let mut out = Vec::new();
        let written = write_wav(&mut out, audio, bits).unwrap();
        (out, written)
    }

    fn int16(file: &[u8]) -> Vec<i16> {
        file[44..].chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
    }

    #[test]
    fn a_sixteen_bit_recording_is_written_unchanged() {
        let values = [0i16, 1, -1, 12_345, i16::MAX, i16::MIN];
        let channel = values.iter().map(|v| f32::from(*v) / 32_768.0).collect();
        let (file, written) = bytes(&audio(vec![channel]), BitDepth::Int16);
        assert_eq!(int16(&file), values);
        assert_eq!(written, Written::default());
    }

    #[test]
    fn one_sample_off_the_grid_turns_the_dither_on_and_the_seed_is_fixed() {
        let mut channel = vec![0.0; 4096];
        channel[7] = 0.5 / 32_768.0;
        let (file, _) = bytes(&audio(vec![channel.clone()]), BitDepth::Int16);
        assert!(int16(&file).iter().any(|v| *v != 0));
        assert_eq!(file, bytes(&audio(vec![channel]), BitDepth::Int16).0);
    }

    #[test]
    fn dither_makes_the_mean_of_many_samples_right_and_the_error_that_of_triangular_noise() {
        // A constant of 0.3 steps would round to 0 each time. TPDF plus rounding: variance 1/4 step^2 at any level.
        let n = 100_000;
        let (file, _) = bytes(&audio(vec![vec![0.3 / 32_768.0; n]]), BitDepth::Int16);
        let values: Vec<f64> = int16(&file).iter().map(|v| f64::from(*v)).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        // Standard errors are 0.5/sqrt(n) = 0.0016 and about 0.0014: four of them. Without dither the mean is 0.3 off,
        // with rectangular dither the variance is 0.21 and depends on the level.
        assert!((mean - 0.3).abs() < 0.0064, "{mean}");
        assert!((variance - 0.25).abs() < 0.0056, "{variance}");
    }

    #[test]
    fn rounding_is_the_librarys() {
        let near = [0.0, 0.49999999999999994, 0.5, 0.9, 1.5, 2.5, 8_388_607.5, 8_388_606.499_999_999, 4e9, 1e15];
        for value in near.into_iter().flat_map(|v| [v, -v]) {
            assert_eq!(rounded(value), f64::round(value), "{value}");
        }
    }

    #[test]
    fn frames_hold_one_sample_of_each_channel() {
        for channel_len in 1..=4u8 {
            let planes = (0..channel_len).map(|c| [f32::from(c), f32::from(c) + 10.0]).collect::<Vec<_>>();
            let mut frames = vec![5.0; 3];
            interleave(&planes.iter().map(<[f32; 2]>::as_slice).collect::<Vec<_>>(), &mut frames);
            let expected = (0..2).flat_map(|n| planes.iter().map(move |plane| plane[n])).collect::<Vec<_>>();
            assert_eq!(frames, expected);
        }
    }

    #[test]
    fn many_samples_become_the_24_bit_values_of_each() {
        let step = 1.0 / 8_388_608.0;
        let near = |n: f32, k: i32| (n + k as f32 * 0.25) * step;
        let edges = [0.0f32, 1.0, 12_345.0, 8_388_600.0, 8_388_608.0, 8_388_610.0];
        let mut samples = edges.iter().flat_map(|n| (-12..12).map(move |k| near(*n, k))).collect::<Vec<_>>();
        samples.extend([f32::MAX, 1e-40, 1.5, 2.0, 0.123_456_7]);
        samples.extend(samples.clone().iter().map(|x| -x));
        for len in samples.len() - 4..=samples.len() {
            let mut written = Written::default();
            let each = |x: &f32| quantized(*x, 24, 0.0, &mut written).to_le_bytes()[..3].to_vec();
            let expected = samples[..len].iter().flat_map(each).collect::<Vec<_>>();
            let mut block = vec![0; 3 * len];
            assert_eq!(put_24(&samples[..len], &mut block), written.clamped_len);
            assert_eq!(block, expected);
        }
    }

    #[test]
    fn values_beyond_full_scale_are_clamped_and_counted() {
        let channel = vec![1.5, -1.5, 1.0, -1.0, 0.25];
        let (file, written) = bytes(&audio(vec![channel.clone()]), BitDepth::Int24);
        assert_eq!(written.clamped_len, 2);
        let data = &file[file.len() - 16..file.len() - 1];
        let values: Vec<i32> = data.chunks_exact(3).map(|b| i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8).collect();
        assert_eq!(values, [8_388_607, -8_388_608, 8_388_607, -8_388_608, 2_097_152]);
        let (file, written) = bytes(&audio(vec![channel.clone()]), BitDepth::Float32);
        assert_eq!(written.clamped_len, 0);
        let data = &file[file.len() - 20..];
        let values: Vec<f32> = data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(values, channel);
    }

    #[test]
    fn sizes_in_the_header_are_the_files_and_odd_data_is_padded() {
        for bits in [BitDepth::Int16, BitDepth::Int24, BitDepth::Float32] {
            for channel_len in [1, 2, 3, 8] {
                for sample_len in [0, 1, 5] {
                    let (file, _) = bytes(&audio(vec![vec![0.1; sample_len]; channel_len]), bits);
                    let riff_len = u32::from_le_bytes([file[4], file[5], file[6], file[7]]) as usize;
                    assert_eq!(riff_len + 8, file.len());
                    assert_eq!(file.len() % 2, 0);
                }
            }
        }
    }

    #[test]
    fn metadata_is_written_as_it_is_and_sizes_count_it() {
        let chunk = |id: &[u8; 4], payload: &[u8]| Chunk { id: *id, payload: payload.to_vec() };
        let metadata = Metadata {
            before: vec![chunk(b"bext", b"odd")],
            after: vec![chunk(b"cue ", b"even"), chunk(b"x\0yz", b"")],
        };
        let mut file = Vec::new();
        write_wav_with(&mut file, &audio(vec![vec![0.5; 3]]), BitDepth::Int24, &metadata).unwrap();
        assert_eq!(u32::from_le_bytes([file[4], file[5], file[6], file[7]]) as usize + 8, file.len());
        let has = |part: &[u8]| file.windows(part.len()).any(|window| window == part);
        assert!(has(b"bext\x03\0\0\0odd\0data\x09\0\0\0"));
        assert!(file.ends_with(b"\0cue \x04\0\0\0evenx\0yz\0\0\0\0"));
    }

    #[test]
    fn more_than_four_gib_become_rf64_on_the_byte() {
        let none = Metadata::default();
        let of = |sample_len, metadata| header(2, 48_000, sample_len, BitDepth::Int16, metadata).unwrap();
        // RIFF's own size field may be 2^32 - 2: 36 bytes of header lie within it, four bytes are a frame.
        let last = (u32::MAX as usize - 1 - 36) / 4;
        assert!(of(last, &none).starts_with(b"RIFF"));
        let long = of(last + 1, &none);
        assert!(long.starts_with(b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0") && long.ends_with(b"data\xff\xff\xff\xff"));
        let size = |at: usize| u64::from_le_bytes(long[at..at + 8].try_into().unwrap());
        let data_len = 4 * (last as u64 + 1);
        assert_eq!((size(20), size(28), size(36)), (long.len() as u64 - 8 + data_len, data_len, last as u64 + 1));
        // Chunks behind the sound count: 18 bytes, and two were free.
        let after = Metadata { after: vec![Chunk { id: *b"cue ", payload: vec![0; 9] }], ..Metadata::default() };
        assert!(of(last - 3, &after).starts_with(b"RF64") && of(last - 4, &after).starts_with(b"RIFF"));
        assert!(header(8, 48_000, usize::MAX / 4, BitDepth::Float32, &none).is_err());
    }
}
