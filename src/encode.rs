//! Writing WAV files: 16 bit with dither, 24 bit, or 32-bit float.
