//! Logarithm and exponential in single precision, by sums, products and one division.
//!
//! A C library's differ in their last bits from machine to machine, and a search that is told something else ends elsewhere. These
//! do not, and several at once become vector instructions.
//!
//! Source: the series of the inverse hyperbolic tangent and of the exponential, as far as single precision sees them.

use std::f32::consts::{LOG2_E, LOG10_2, LOG10_E};

/// Bits of a number's fraction.
const FRACTION_BITS: u32 = 23;
/// The bits of `√½`: fractions from here to `√2` are the nearest to 1.
const ROOT_HALF: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
/// Adding this leaves a whole number in the lowest bits.
const WHOLE: f32 = 12_582_912.0;
/// `ln 2` in two parts, of which the upper one has few enough bits that its multiples are exact.
const LN_2_UPPER: f32 = 355.0 / 512.0;
const LN_2_LOWER: f32 = (std::f64::consts::LN_2 - 355.0 / 512.0) as f32;
/// Arguments of [`exp`] are held within this: beyond it, the result is no normal number.
const LARGEST_EXPONENT: f32 = 87.0;

/// `e^x`, to two units in the last place; `x` is held within ±87.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    let x = if x < LARGEST_EXPONENT { x } else { LARGEST_EXPONENT };
    let x = if x > -LARGEST_EXPONENT { x } else { -LARGEST_EXPONENT };
    let shifted = x * LOG2_E + WHOLE;
    let whole = shifted - WHOLE;
    let r = (x - whole * LN_2_UPPER) - whole * LN_2_LOWER;
    // In pairs: what does not wait for the term before it is worked out meanwhile.
    let square = r * r;
    let upper = (1.0 / 24.0 + r * (1.0 / 120.0)) + square * (1.0 / 720.0 + r * (1.0 / 5040.0));
    let series = (1.0 + r) + square * ((0.5 + r * (1.0 / 6.0)) + square * upper);
    let power = shifted.to_bits().wrapping_sub(WHOLE.to_bits()).wrapping_shl(FRACTION_BITS);
    f32::from_bits(series.to_bits().wrapping_add(power))
}

/// Logarithm to the base of ten, to a few units in the last place, of a positive normal number.
#[inline]
pub(super) fn log10(x: f32) -> f32 {
    let above = x.to_bits().wrapping_sub(ROOT_HALF);
    let exponent = (above as i32) >> FRACTION_BITS;
    let fraction = f32::from_bits((above & ((1 << FRACTION_BITS) - 1)) + ROOT_HALF);
    let s = (fraction - 1.0) / (fraction + 1.0);
    let square = s * s;
    let series = (1.0 / 3.0 + square * (1.0 / 5.0)) + square * square * (1.0 / 7.0 + square * (1.0 / 9.0));
    let twice = s * (2.0 * LOG10_E);
    (exponent as f32 * LOG10_2 + twice) + twice * square * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_as_exact_as_single_precision() {
        let mut worst = (0f64, 0f64, 0f64);
        for n in 0..200_000 {
            let x = -87.0 + 174.0 * n as f32 / 200_000.0;
            let true_power = f64::from(x).exp();
            worst.0 = worst.0.max((f64::from(exp(x)) / true_power - 1.0).abs());
            let positive = true_power as f32;
            let true_log = f64::from(positive).log10();
            worst.1 = worst.1.max((f64::from(log10(positive)) - true_log).abs() / (1.0 + true_log.abs()));
            let near_one = 1.0 + 0.2 * (n as f32 / 200_000.0 - 0.5);
            worst.2 = worst.2.max((f64::from(log10(near_one)) - f64::from(near_one).log10()).abs());
        }
        assert!(worst.0 < 2e-7 && worst.1 < 3e-7 && worst.2 < 2e-8, "{worst:?}");
        assert_eq!((exp(0.0), log10(1.0)), (1.0, 0.0));
        assert!((log10(1e-20) + 20.0).abs() < 1e-5);
    }

    #[test]
    fn what_is_too_large_is_held() {
        assert_eq!(exp(1e30), exp(LARGEST_EXPONENT));
        assert_eq!(exp(-1e30), exp(-LARGEST_EXPONENT));
        assert!(exp(LARGEST_EXPONENT).is_finite() && exp(-LARGEST_EXPONENT) >= f32::MIN_POSITIVE);
    }
}
