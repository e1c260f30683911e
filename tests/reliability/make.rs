//! Files made on paper, and damage done to them.

use std::path::Path;

/// A file of `tests/data`.
pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

pub fn chunk(id: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    claiming(id, payload.len() as u32, payload)
}

/// A chunk whose size field says `claimed`.
pub fn claiming(id: &[u8; 4], claimed: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend(claimed.to_le_bytes());
    out.extend(payload);
    if !payload.len().is_multiple_of(2) {
        out.push(0);
    }
    out
}

pub fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    let mut out = b"RIFF".to_vec();
    out.extend((body.len() as u32 + 4).to_le_bytes());
    out.extend(b"WAVE");
    out.extend(body);
    out
}

/// A `fmt ` chunk's payload.
pub fn fmt(tag: u16, channel_len: u16, sample_rate_hz: u32, bits: u16) -> Vec<u8> {
    let block_align = channel_len.wrapping_mul(bits.div_ceil(8));
    let mut out = Vec::new();
    out.extend(tag.to_le_bytes());
    out.extend(channel_len.to_le_bytes());
    out.extend(sample_rate_hz.to_le_bytes());
    out.extend(sample_rate_hz.wrapping_mul(u32::from(block_align)).to_le_bytes());
    out.extend(block_align.to_le_bytes());
    out.extend(bits.to_le_bytes());
    out
}

pub fn fmt_extensible(sub_tag: u16, channel_len: u16, bits: u16, valid_bits: u16) -> Vec<u8> {
    let mut out = fmt(0xfffe, channel_len, 8_000, bits);
    out.extend(22u16.to_le_bytes());
    out.extend(valid_bits.to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend(sub_tag.to_le_bytes());
    out.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    out
}

/// A WAV file of one format chunk and one data chunk.
pub fn wav(fmt: &[u8], data: &[u8]) -> Vec<u8> {
    riff(&[chunk(b"fmt ", fmt), chunk(b"data", data)])
}

/// 16 bit, mono, 8 kHz.
pub fn plain(data: &[u8]) -> Vec<u8> {
    wav(&mono(), data)
}

pub fn mono() -> Vec<u8> {
    fmt(1, 1, 8_000, 16)
}

/// A tone of `sample_len` samples of 16 bits.
pub fn tone(sample_len: usize) -> Vec<u8> {
    (0..sample_len).map(|n| ((n as f64 * 0.3).sin() * 9_000.0).round() as i16).flat_map(i16::to_le_bytes).collect()
}

/// Mono floats of 32 bits at 8 kHz.
pub fn floats(values: &[f32]) -> Vec<u8> {
    wav(&fmt(3, 1, 8_000, 32), &values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
}

/// RF64, or BW64 with that magic: a `ds64` chunk, then the chunks.
pub fn rf64(magic: &[u8; 4], ds64: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [magic.as_slice(), &[0xff; 4], b"WAVE", &chunk(b"ds64", ds64), &chunks.concat()].concat()
}

/// The sizes of a `ds64` chunk without a table.
pub fn ds64(data_len: u64, frame_len: u64) -> Vec<u8> {
    [100u64.to_le_bytes(), data_len.to_le_bytes(), frame_len.to_le_bytes()].concat().into_iter().chain([0; 4]).collect()
}

const W64_TAIL: [u8; 12] = [0xf3, 0xac, 0xd3, 0x11, 0x8c, 0xd1, 0, 0xc0, 0x4f, 0x8e, 0xdb, 0x8a];

/// A Wave64 chunk, padded to eight bytes.
pub fn w64_chunk(id: &[u8; 4], claimed: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = [id.as_slice(), &W64_TAIL, &claimed.to_le_bytes(), payload].concat();
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

pub fn w64(chunks: &[Vec<u8>]) -> Vec<u8> {
    let head = [0x2e, 0x91, 0xcf, 0x11, 0xa5, 0xd6, 0x28, 0xdb, 0x04, 0xc1, 0, 0];
    let body = chunks.concat();
    [b"riff".as_slice(), &head, &(40 + body.len() as u64).to_le_bytes(), b"wave", &W64_TAIL, &body].concat()
}

/// Overwrites the first occurrence of `from`.
pub fn patched(mut file: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = file.windows(from.len()).position(|window| window == from).unwrap();
    file[at..at + to.len()].copy_from_slice(to);
    file
}

/// Overwrites bytes at a place, counted from the end where it is negative.
pub fn with(mut file: Vec<u8>, at: isize, bytes: &[u8]) -> Vec<u8> {
    let at = if at < 0 { file.len().checked_add_signed(at).unwrap() } else { at as usize };
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

pub fn cut(mut file: Vec<u8>, len: usize) -> Vec<u8> {
    file.truncate(len);
    file
}

/// A FLAC of `frame_len` frames of silence, 4096 samples each, 16 bit mono 48 kHz; `claimed` samples in its header, 0 for
/// "not known". A frame has 14 bytes: the way to put hours into a small file.
pub fn silent_flac(frame_len: u64, claimed: u64) -> Vec<u8> {
    let mut out = b"fLaC\x80\0\0\x22".to_vec();
    out.extend([0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    // 20 bits of rate, 3 of channels - 1, 5 of bits - 1, 36 of samples.
    out.extend((48_000u64 << 44 | 15 << 36 | claimed).to_be_bytes());
    out.extend([0; 16]);
    for frame in 0..frame_len {
        // Sync, fixed block size; 4096 samples, 48 kHz; mono, 16 bits; the frame's number in UTF-8's way.
        let mut head = vec![0xff, 0xf8, 0xca, 0x08];
        let mut number = Vec::new();
        let six = |shift: u32| 0x80 | (frame >> shift & 0x3f) as u8;
        match frame {
            0..0x80 => number.push(frame as u8),
            0x80..0x800 => number.extend([0xc0 | (frame >> 6) as u8, six(0)]),
            0x800..0x1_0000 => number.extend([0xe0 | (frame >> 12) as u8, six(6), six(0)]),
            _ => number.extend([0xf0 | (frame >> 18) as u8, six(12), six(6), six(0)]),
        }
        head.extend(number);
        let crc = crc(&head, 0x07, 8);
        head.push(crc as u8);
        // A constant subframe of value 0, then the frame's own checksum.
        head.extend([0, 0, 0]);
        let crc = crc_16(&head);
        head.extend(crc.to_be_bytes());
        out.extend(head);
    }
    out
}

fn crc(data: &[u8], polynomial: u32, bits: u32) -> u32 {
    let top = 1 << (bits - 1);
    let mask = (top << 1) - 1;
    data.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << (bits - 8), |crc, _| {
            (if crc & top == 0 { crc << 1 } else { crc << 1 ^ polynomial }) & mask
        })
    })
}

fn crc_16(data: &[u8]) -> u16 {
    crc(data, 0x8005, 16) as u16
}

/// Offsets at which boxes, chunks or frames begin.
pub mod boundaries {
    /// MP4, the contents of the usual containers included.
    pub fn of_mp4(file: &[u8]) -> Vec<usize> {
        fn visit(file: &[u8], start: usize, end: usize, out: &mut Vec<usize>) {
            let mut at = start;
            while at + 8 <= end {
                let len = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
                out.extend([at, at + 8]);
                let is_container = matches!(
                    &file[at + 4..at + 8],
                    b"moov" | b"trak" | b"edts" | b"mdia" | b"minf" | b"stbl" | b"dinf" | b"udta" | b"moof" | b"traf"
                );
                if is_container {
                    visit(file, at + 8, at + len, out);
                }
                at += len.max(8);
            }
        }
        let mut out = Vec::new();
        visit(file, 0, file.len(), &mut out);
        out
    }

    /// FLAC: metadata blocks.
    pub fn of_flac(file: &[u8]) -> Vec<usize> {
        let mut out = vec![4];
        let mut at = 4;
        loop {
            let len = usize::from(file[at + 1]) << 16 | usize::from(file[at + 2]) << 8 | usize::from(file[at + 3]);
            let is_last = file[at] & 0x80 != 0;
            out.extend([at + 4, at + 4 + len]);
            at += 4 + len;
            if is_last {
                return out;
            }
        }
    }

    /// Ogg: pages.
    pub fn of_ogg(file: &[u8]) -> Vec<usize> {
        file.windows(4).enumerate().filter(|(_, w)| *w == b"OggS").flat_map(|(at, _)| [at, at + 27]).collect()
    }

    /// AIFF: chunks behind a head of 12 bytes, with sizes of 32 bits.
    pub fn of_aiff(file: &[u8]) -> Vec<usize> {
        let mut out = Vec::new();
        let mut at = 12;
        while at + 8 <= file.len() {
            out.extend([at, at + 8]);
            at += 8 + (u32::from_be_bytes(file[at + 4..at + 8].try_into().unwrap()) as usize).next_multiple_of(2);
        }
        out
    }

    /// CAF: chunks behind a head of 8 bytes, with sizes of 64 bits.
    pub fn of_caf(file: &[u8]) -> Vec<usize> {
        let mut out = Vec::new();
        let mut at = 8;
        while at + 12 <= file.len() {
            out.extend([at, at + 12]);
            at += 12 + u64::from_be_bytes(file[at + 4..at + 12].try_into().unwrap()) as usize;
        }
        out
    }

    /// WAV: chunks and the fields of their heads.
    pub fn of_wav(file: &[u8]) -> Vec<usize> {
        let mut out = vec![0, 4, 8];
        let mut at = 12;
        while at + 8 <= file.len() {
            out.extend([at, at + 4, at + 8]);
            at += 8 + (u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap()) as usize).next_multiple_of(2);
        }
        out
    }
}
