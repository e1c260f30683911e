//! Single-precision functions by way of doubles, rounded once.
//!
//! The last bits of a C library's single-precision logarithms and exponentials differ from machine to machine, and a search that is
//! told something else ends elsewhere.

/// `e^x`.
pub(super) fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}

/// Logarithm to the base of ten.
pub(super) fn log10(x: f32) -> f32 {
    f64::from(x).log10() as f32
}
