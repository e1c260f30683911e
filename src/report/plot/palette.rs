//! Colours that colour-blind readers and grey printers can tell apart.
//!
//! **Source.** M. Okabe, K. Ito, "Color Universal Design" (2008); J. R. Nuñez, C. R. Anderton, R. S. Renslow,
//! "Optimizing colormaps with consideration for color vision deficiency" (PLoS ONE 2018) for cividis.

/// An sRGB colour with its opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Colour {
    pub(super) rgb: [u8; 3],
    /// 0 (invisible) to 1.
    pub(super) opacity: f64,
}

impl Colour {
    const fn new(rgb: [u8; 3]) -> Self {
        Self { rgb, opacity: 1.0 }
    }

    /// The same colour, more or less transparent.
    pub(super) fn at(self, opacity: f64) -> Self {
        Self { opacity: opacity.clamp(0.0, 1.0), ..self }
    }
}

/// Headings and data that must be read first.
pub(super) const INK: Colour = Colour::new([28, 32, 38]);
/// Axis labels and side remarks.
pub(super) const GREY: Colour = Colour::new([95, 101, 110]);
/// Grid lines and frames.
pub(super) const FAINT: Colour = Colour::new([222, 225, 229]);
/// Paper.
pub(super) const PAPER: Colour = Colour::new([255, 255, 255]);
/// The recording as the phone made it. Okabe-Ito orange.
pub(super) const BEFORE: Colour = Colour::new([230, 159, 0]);
/// The restored recording, and what belongs to it. Okabe-Ito blue.
pub(super) const AFTER: Colour = Colour::new([0, 114, 178]);
/// Gain that falls. Okabe-Ito vermilion.
pub(super) const ATTACK: Colour = Colour::new([213, 94, 0]);
/// Gain that rises. Okabe-Ito bluish green.
pub(super) const RELEASE: Colour = Colour::new([0, 158, 115]);

/// A fitted decay over the spectrogram, which keeps to the darker part of its map. Okabe-Ito yellow.
pub(super) const DECAY: Colour = Colour::new([240, 228, 66]);

/// Cividis at eleven even places; lightness grows evenly, so it survives grey printing.
const CIVIDIS: [[u8; 3]; 11] = [
    [0, 34, 78],
    [8, 51, 112],
    [53, 69, 108],
    [79, 87, 108],
    [102, 105, 112],
    [125, 124, 120],
    [148, 142, 119],
    [174, 163, 113],
    [200, 184, 102],
    [229, 207, 82],
    [254, 232, 56],
];

/// Colour of `share` (0 quiet, 1 loud) on the cividis map.
pub(super) fn cividis(share: f64) -> [u8; 3] {
    let steps = (CIVIDIS.len() - 1) as f64;
    let place = if share.is_finite() { share.clamp(0.0, 1.0) * steps } else { 0.0 };
    let below = (place.floor() as usize).min(CIVIDIS.len() - 2);
    let part = place - below as f64;
    std::array::from_fn(|c| {
        let (low, high) = (f64::from(CIVIDIS[below][c]), f64::from(CIVIDIS[below + 1][c]));
        (low + part * (high - low)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_grows_lighter_all_the_way_so_that_grey_prints_read_the_same() {
        let lightness =
            |rgb: [u8; 3]| 0.2126 * f64::from(rgb[0]) + 0.7152 * f64::from(rgb[1]) + 0.0722 * f64::from(rgb[2]);
        let shades: Vec<f64> = (0..=100).map(|i| lightness(cividis(f64::from(i) / 100.0))).collect();
        assert!(shades.windows(2).all(|pair| pair[1] >= pair[0]));
        assert_eq!(cividis(f64::NAN), cividis(0.0));
        assert_eq!(cividis(7.0), cividis(1.0));
    }
}
