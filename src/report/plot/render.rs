//! From a scene to the bytes of a PNG or SVG file, through plotters.

use super::palette::Colour;
use super::scene::{Anchor, Image, Point, Scene, Shape, Text, Weight};
use crate::report::base64;
use ab_glyph::{Font, FontRef, ScaleFont};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontStyle, RGBAColor, ShapeStyle, TextStyle, register_font};
use std::sync::OnceLock;

const REGULAR: &[u8] = include_bytes!("font/OpenSans-Regular-subset.ttf");
const SEMIBOLD: &[u8] = include_bytes!("font/OpenSans-Semibold-subset.ttf");

/// Family by which the embedded font is known to the bitmap backend, and which an SVG viewer looks for: whatever it
/// has will do, so all widths that matter leave room for a wider font.
const FAMILY: &str = "Open Sans, Helvetica, Arial, sans-serif";

/// Bitmaps are drawn this many times larger and averaged down: smooth edges that the backend does not make itself.
const OVERSAMPLING: u32 = 2;

/// Averaged colours are rounded to multiples of this, of 255: nobody sees it, and the file is a tenth smaller.
const COLOUR_STEP: u32 = 5;

/// SVG coordinates are whole numbers to plotters, so they count quarter pixels.
const SVG_STEPS: u32 = 4;

/// Ascent plus descent of Open Sans over its em (2189 + 600 of 2048), by which `ab_glyph` measures sizes.
const AB_GLYPH_SIZE_PER_EM: f64 = 2789.0 / 2048.0;
/// plotters divides font sizes by this before it writes them to SVG (plotters-svg 0.3.7, `draw_text`).
const SVG_SIZE_PER_EM: f64 = 1.24;
/// plotters-svg puts the baseline this many em below the point of a text anchored at its top.
const SVG_TOP_TO_BASELINE_EM: f64 = 0.76;

/// Why a picture could not be drawn.
pub(super) type Failure = String;

/// Puts the embedded font where plotters looks for it, once.
fn register() -> Result<(), Failure> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, REGULAR).is_ok()
            && register_font(FAMILY, FontStyle::Bold, SEMIBOLD).is_ok()
    });
    if registered { Ok(()) } else { Err("the embedded font cannot be read".to_owned()) }
}

/// Width of a text in pixels, in the embedded font.
pub(super) fn text_width(text: &str, size: f64, weight: Weight) -> f64 {
    let bytes = match weight {
        Weight::Regular => REGULAR,
        Weight::Semibold => SEMIBOLD,
    };
    let Ok(font) = FontRef::try_from_slice(bytes) else { return 0.0 };
    let scaled = font.as_scaled((size * AB_GLYPH_SIZE_PER_EM) as f32);
    text.chars().map(|c| f64::from(scaled.h_advance(scaled.glyph_id(c)))).sum()
}

/// The scene as the bytes of a PNG file.
pub(super) fn png(scene: &Scene) -> Result<Vec<u8>, Failure> {
    register()?;
    let (width, height) = scene.size;
    let (wide, high) = (width * OVERSAMPLING, height * OVERSAMPLING);
    let mut fine = vec![255u8; wide as usize * high as usize * 3];
    for image in &scene.images {
        paste(&mut fine, (wide, high), image);
    }
    {
        let mut backend = BitMapBackend::with_buffer(&mut fine, (wide, high));
        let ruler = Ruler {
            scale: f64::from(OVERSAMPLING),
            size_per_em: AB_GLYPH_SIZE_PER_EM,
            // plotters draws the baseline half a size below the top of the box.
            top_to_baseline_em: AB_GLYPH_SIZE_PER_EM / 2.0,
        };
        replay(scene, &mut backend, &ruler)?;
    }
    encode_png((width, height), &averaged(&fine, width, height))
}

/// The scene as the text of an SVG file.
pub(super) fn svg(scene: &Scene) -> Result<String, Failure> {
    register()?;
    let (width, height) = scene.size;
    let mut drawn = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut drawn, (width * SVG_STEPS, height * SVG_STEPS));
        let ruler = Ruler {
            scale: f64::from(SVG_STEPS),
            size_per_em: SVG_SIZE_PER_EM,
            top_to_baseline_em: SVG_TOP_TO_BASELINE_EM,
        };
        replay(scene, &mut backend, &ruler)?;
    }
    // The first line opens the picture at its fine size; give it its true size, paper and images instead.
    let body = drawn.split_once('\n').map_or("", |(_, body)| body);
    let (wide, high) = (width * SVG_STEPS, height * SVG_STEPS);
    let mut out = format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {wide} {high}\" xmlns=\"http://www.w3.org/2000/svg\">\n\
         <rect width=\"{wide}\" height=\"{high}\" fill=\"#FFFFFF\"/>\n"
    );
    for image in &scene.images {
        let data = base64(&encode_png(image.size, &image.rgb)?);
        let [x, y, w, h] = [image.at.0, image.at.1, image.size.0, image.size.1].map(|v| v * SVG_STEPS);
        out.push_str(&format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" href=\"data:image/png;base64,{data}\"/>\n"
        ));
    }
    out.push_str(body);
    Ok(out)
}

/// How a backend counts pixels and sets type.
struct Ruler {
    scale: f64,
    size_per_em: f64,
    top_to_baseline_em: f64,
}

impl Ruler {
    fn point(&self, (x, y): Point) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    fn style(&self, colour: Colour, width: f64) -> ShapeStyle {
        ShapeStyle { color: rgba(colour), filled: true, stroke_width: (width * self.scale).round().max(1.0) as u32 }
    }
}

fn rgba(colour: Colour) -> RGBAColor {
    let [r, g, b] = colour.rgb;
    RGBAColor(r, g, b, colour.opacity)
}

fn replay<B: DrawingBackend>(scene: &Scene, backend: &mut B, ruler: &Ruler) -> Result<(), Failure> {
    backend.ensure_prepared().map_err(|e| e.to_string())?;
    for shape in &scene.shapes {
        match shape {
            Shape::Block { from, to, colour } => {
                backend.draw_rect(ruler.point(*from), ruler.point(*to), &ruler.style(*colour, 1.0), true)
            }
            Shape::Line { points, width, colour } => {
                let points = without_repeats(points.iter().map(|p| ruler.point(*p)));
                backend.draw_path(points, &ruler.style(*colour, *width))
            }
            Shape::Area { points, colour } => {
                let points = without_repeats(points.iter().map(|p| ruler.point(*p)));
                backend.fill_polygon(points, &ruler.style(*colour, 1.0))
            }
            Shape::Dot { at, radius, colour } => {
                let radius = (radius * ruler.scale).round().max(1.0) as u32;
                backend.draw_circle(ruler.point(*at), radius, &ruler.style(*colour, 1.0), true)
            }
            Shape::Text(text) => {
                let (style, at) = typeset(text, ruler);
                backend.draw_text(&text.text, &style, at)
            }
        }
        .map_err(|e| e.to_string())?;
    }
    backend.present().map_err(|e| e.to_string())
}

/// Drops points that fall on the one before: plotters' thick lines break on them.
fn without_repeats(points: impl Iterator<Item = (i32, i32)>) -> Vec<(i32, i32)> {
    let mut out: Vec<(i32, i32)> = points.collect();
    out.dedup();
    out
}

/// A text's style, and the point of its box's top that puts its baseline in place.
fn typeset(text: &Text, ruler: &Ruler) -> (TextStyle<'static>, (i32, i32)) {
    let em = text.size * ruler.scale;
    let style = match text.weight {
        Weight::Regular => FontStyle::Normal,
        Weight::Semibold => FontStyle::Bold,
    };
    let h_pos = match text.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let style = TextStyle {
        font: (FontFamily::Name(FAMILY), em * ruler.size_per_em, style).into(),
        color: rgba(text.colour).to_backend_color(),
        pos: Pos::new(h_pos, VPos::Top),
    };
    let (x, baseline) = ruler.point(text.at);
    let top = baseline - (em * ruler.top_to_baseline_em).round() as i32;
    (style, (x, top))
}

/// Lays an image into the oversampled picture.
fn paste(fine: &mut [u8], (wide, high): (u32, u32), image: &Image) {
    let (w, h) = image.size;
    for y in (image.at.1 * OVERSAMPLING)..((image.at.1 + h) * OVERSAMPLING).min(high) {
        for x in (image.at.0 * OVERSAMPLING)..((image.at.0 + w) * OVERSAMPLING).min(wide) {
            let (column, row) = (x / OVERSAMPLING - image.at.0, y / OVERSAMPLING - image.at.1);
            let from = (row as usize * w as usize + column as usize) * 3;
            let to = (y as usize * wide as usize + x as usize) * 3;
            fine[to..to + 3].copy_from_slice(&image.rgb[from..from + 3]);
        }
    }
}

/// Mean over each square of oversampled pixels.
fn averaged(fine: &[u8], width: u32, height: u32) -> Vec<u8> {
    let side = OVERSAMPLING as usize;
    let wide = width as usize * side;
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height as usize {
        for x in 0..width as usize {
            for c in 0..3 {
                let sum: u32 = (0..side * side)
                    .map(|i| u32::from(fine[((y * side + i / side) * wide + x * side + i % side) * 3 + c]))
                    .sum();
                let mean = (sum + OVERSAMPLING * OVERSAMPLING / 2) / (OVERSAMPLING * OVERSAMPLING);
                out.push(((mean + COLOUR_STEP / 2) / COLOUR_STEP * COLOUR_STEP).min(255) as u8);
            }
        }
    }
    out
}

fn encode_png((width, height): (u32, u32), rgb: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    // Flat areas and few colours repeat themselves as they are; a filter would hide that.
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(rgb).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(out)
}

/// A picture of at most 256 colours as PNG with a palette: what it shows is bit for bit what [`encode_png`] would, in half
/// of the bytes.
#[cfg(feature = "page")]
pub(in crate::report) fn indexed_png((width, height): (u32, u32), rgb: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut palette: Vec<[u8; 3]> = rgb.chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect();
    palette.sort_unstable();
    palette.dedup();
    if palette.len() > 256 {
        return encode_png((width, height), rgb);
    }
    let place = |c: &[u8]| palette.binary_search(&[c[0], c[1], c[2]]).unwrap_or(0) as u8;
    let pixels: Vec<u8> = rgb.chunks_exact(3).map(place).collect();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.concat());
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(&pixels).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn the_embedded_font_has_every_sign_the_picture_uses() {
        for bytes in [REGULAR, SEMIBOLD] {
            let font = FontRef::try_from_slice(bytes).unwrap();
            for sign in ('!'..='~').chain("±−–…·×°αγτσ≤≥“”’ ".chars()) {
                assert!(font.glyph_id(sign).0 != 0, "{sign:?} is missing");
            }
        }
    }

    #[test]
    fn an_averaged_picture_keeps_flat_colours() {
        for colour in [0, 35, 255] {
            assert_eq!(averaged(&[colour; 4 * 4 * 3], 2, 2), vec![colour; 2 * 2 * 3]);
        }
    }
}
