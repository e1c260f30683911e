//! Bytes of one stored sample to its value. Source: Microsoft `WAVEFORMATEX`; ITU-T G.711 (A-law, µ-law).

use super::SampleFormat;

/// How one sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Unsigned, 128 is zero.
    Int8,
    Int16,
    Int24,
    Int32,
    Float32,
    Float64,
    ALaw,
    MuLaw,
}

/// Full scale of G.711 values once they are expanded to 16 bits.
const G711_SCALE: f32 = 1.0 / 32_768.0;

impl Coding {
    /// Bytes of one sample.
    pub(super) fn byte_len(self) -> usize {
        match self {
            Self::Int8 | Self::ALaw | Self::MuLaw => 1,
            Self::Int16 => 2,
            Self::Int24 => 3,
            Self::Int32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    pub(super) fn format(self) -> SampleFormat {
        match self {
            Self::Int8 | Self::Int16 | Self::Int24 | Self::Int32 => SampleFormat::Integer,
            Self::Float32 | Self::Float64 => SampleFormat::Float,
            Self::ALaw | Self::MuLaw => SampleFormat::Lossy,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ALaw => "A-law",
            Self::MuLaw => "µ-law",
            _ => "PCM",
        }
    }

    /// Appends interleaved little-endian samples to their channels; bytes that are no whole frame are left out.
    pub(super) fn extend(self, bytes: &[u8], channels: &mut [Vec<f32>]) {
        // A match per block and not per sample.
        match self {
            Self::Int8 => each(bytes, channels, |[a]: [u8; 1]| (f32::from(a) - 128.0) / 128.0),
            Self::Int16 => each(bytes, channels, |b| f32::from(i16::from_le_bytes(b)) / 32_768.0),
            Self::Int24 => {
                each(bytes, channels, |[a, b, c]: [u8; 3]| i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0);
            }
            Self::Int32 => each(bytes, channels, |b| i32::from_le_bytes(b) as f32 / 2_147_483_648.0),
            Self::Float32 => each(bytes, channels, f32::from_le_bytes),
            Self::Float64 => each(bytes, channels, |b| f64::from_le_bytes(b) as f32),
            Self::ALaw => each(bytes, channels, |[a]: [u8; 1]| f32::from(a_law(a)) * G711_SCALE),
            Self::MuLaw => each(bytes, channels, |[a]: [u8; 1]| f32::from(mu_law(a)) * G711_SCALE),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], channels: &mut [Vec<f32>], value: impl Fn([u8; N]) -> f32) {
    let samples = bytes.as_chunks::<N>().0;
    // A channel after the other, of a known length: neither has each sample to ask whether there is room.
    match channels {
        [] => {}
        [only] => only.extend(samples.iter().map(|x| value(*x))),
        [left, right] => {
            let frames = samples.as_chunks::<2>().0;
            left.extend(frames.iter().map(|[x, _]| value(*x)));
            right.extend(frames.iter().map(|[_, x]| value(*x)));
        }
        many => {
            let frames = samples.chunks_exact(many.len());
            for (c, channel) in many.iter_mut().enumerate() {
                channel.extend(frames.clone().map(|frame| value(frame[c])));
            }
        }
    }
}

/// G.711 A-law, expanded to 16 bits: even bits are inverted; sign, three bits of segment, four of mantissa.
fn a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let mantissa = i16::from(code & 0x0f) << 4;
    let magnitude = match code >> 4 & 7 {
        0 => mantissa + 8,
        segment => (mantissa + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

/// G.711 µ-law, expanded to 16 bits: all bits are inverted; sign, three bits of segment, four of mantissa, a bias of 132.
fn mu_law(code: u8) -> i16 {
    const BIAS: i16 = 0x84;
    let code = !code;
    let magnitude = ((i16::from(code & 0x0f) << 3) + BIAS) << (code >> 4 & 7);
    if code & 0x80 == 0 { magnitude - BIAS } else { BIAS - magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_has_its_values_on_paper() {
        // G.711 tables 1a and 2a: quietest and loudest of either sign, in 16 bits.
        for (code, value) in [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256), (0xc5, 264)] {
            assert_eq!(a_law(code), value, "A-law {code:#04x}");
        }
        for (code, value) in [(0xff, 0), (0x7f, 0), (0x80, 32_124), (0x00, -32_124), (0xef, 132)] {
            assert_eq!(mu_law(code), value, "µ-law {code:#04x}");
        }
        // Both rise with every step of their magnitude.
        let rises = |values: Vec<i16>| values.windows(2).all(|w| w[0] < w[1]);
        assert!(rises((0..128u8).map(|m| a_law((m | 0x80) ^ 0x55)).collect()));
        assert!(rises((0..128u8).map(|m| mu_law(!m)).collect()));
    }

    #[test]
    fn half_a_frame_is_left_out() {
        let mut channels = vec![vec![]; 2];
        Coding::Int16.extend(&[0, 0x40, 0, 0xc0, 0, 0x40], &mut channels);
        assert_eq!(channels, [[0.5], [-0.5]]);
    }

    #[test]
    fn channels_of_any_number_get_their_own_samples() {
        let bytes = (0u8..48).collect::<Vec<_>>();
        for channel_len in 1..=8 {
            let mut channels = vec![vec![9.0]; channel_len];
            Coding::Int8.extend(&bytes, &mut channels);
            for (c, channel) in channels.iter().enumerate() {
                let own = bytes.chunks_exact(channel_len).map(|frame| (f32::from(frame[c]) - 128.0) / 128.0);
                assert_eq!(*channel, std::iter::once(9.0).chain(own).collect::<Vec<_>>(), "{c} of {channel_len}");
            }
        }
    }
}
