//! Keys to what lines and marks mean, in one row that ends at a panel's right edge.

use super::axes::LABEL_SIZE;
use super::palette::{Colour, GREY};
use super::render::text_width;
use super::scene::{Point, Scene, Weight};

/// How a key's mark looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Line,
    Block,
    Down,
    Up,
    Dot,
}

/// One mark and its meaning.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    mark: Mark,
    text: String,
    colour: Colour,
    /// What lies beneath the mark, for marks that are as light as paper.
    beneath: Option<Colour>,
}

impl Key {
    fn new(mark: Mark, text: &str, colour: Colour) -> Self {
        Self { mark, text: text.to_owned(), colour, beneath: None }
    }
    /// A line on a ground of another colour.
    pub(super) fn line_on(text: &str, colour: Colour, ground: Colour) -> Self {
        Self { beneath: Some(ground), ..Self::new(Mark::Line, text, colour) }
    }
    pub(super) fn line(text: &str, colour: Colour) -> Self {
        Self::new(Mark::Line, text, colour)
    }
    pub(super) fn block(text: &str, colour: Colour) -> Self {
        Self::new(Mark::Block, text, colour)
    }
    pub(super) fn down(text: &str, colour: Colour) -> Self {
        Self::new(Mark::Down, text, colour)
    }
    pub(super) fn up(text: &str, colour: Colour) -> Self {
        Self::new(Mark::Up, text, colour)
    }
    pub(super) fn dot(text: &str, colour: Colour) -> Self {
        Self::new(Mark::Dot, text, colour)
    }
}

/// Width of a mark and the space after it.
const MARK_WIDTH: f64 = 20.0;
const GAP: f64 = 7.0;
const BETWEEN: f64 = 16.0;

/// Draws the keys in a row whose right end and baseline are `end`.
pub(super) fn legend(scene: &mut Scene, end: Point, keys: &[Key]) {
    let mut right = end.0;
    for key in keys.iter().rev() {
        // A viewer's own font may be wider than the embedded one: leave a tenth.
        let left = right - 1.1 * text_width(&key.text, LABEL_SIZE, Weight::Regular) - GAP - MARK_WIDTH;
        scene.text((left + MARK_WIDTH + GAP, end.1), &key.text, LABEL_SIZE, GREY);
        let middle = (left + 0.5 * MARK_WIDTH, end.1 - 0.35 * LABEL_SIZE);
        if let Some(ground) = key.beneath {
            mark(scene, Mark::Block, middle, ground);
        }
        mark(scene, key.mark, middle, key.colour);
        right = left - BETWEEN;
    }
}

/// Draws one mark with its middle at `at`.
fn mark(scene: &mut Scene, mark: Mark, at: Point, colour: Colour) {
    let half = 0.5 * MARK_WIDTH;
    match mark {
        Mark::Line => scene.line(vec![(at.0 - half, at.1), (at.0 + half, at.1)], 3.0, colour),
        Mark::Block => scene.block((at.0 - half, at.1 - 6.0), (at.0 + half, at.1 + 6.0), colour),
        Mark::Down => triangle_down(scene, at, 6.0, colour),
        Mark::Up => triangle_up(scene, at, 6.0, colour),
        Mark::Dot => scene.dot(at, 4.0, colour),
    }
}

/// A triangle that points down.
pub(super) fn triangle_down(scene: &mut Scene, (x, y): Point, half: f64, colour: Colour) {
    scene.area(vec![(x - half, y - 0.8 * half), (x + half, y - 0.8 * half), (x, y + 0.8 * half)], colour);
}

/// A triangle that points up.
pub(super) fn triangle_up(scene: &mut Scene, (x, y): Point, half: f64, colour: Colour) {
    scene.area(vec![(x - half, y + 0.8 * half), (x + half, y + 0.8 * half), (x, y - 0.8 * half)], colour);
}
