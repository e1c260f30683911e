//! What is to be drawn, before anyone decides how: a list of shapes in picture pixels.
//!
//! Panels fill a [`Scene`]; `render` turns it into PNG or SVG. Keeping the two apart lets tests look for text that
//! overlaps or leaves the picture.

use super::palette::Colour;

/// A place in the picture: pixels from the left and from the top.
pub(super) type Point = (f64, f64);

/// Where `x` of a text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// At its left end.
    Start,
    /// At its middle.
    Middle,
    /// At its right end.
    End,
}

/// How heavy a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Semibold,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    /// Left end, middle or right end, as `anchor` says; and the baseline.
    pub(super) at: Point,
    pub(super) text: String,
    /// Size of the em square in pixels.
    pub(super) size: f64,
    pub(super) anchor: Anchor,
    pub(super) weight: Weight,
    pub(super) colour: Colour,
}

/// A picture in the picture.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Image {
    /// Upper left corner, in whole pixels.
    pub(super) at: (u32, u32),
    /// Width and height in pixels.
    pub(in crate::report) size: (u32, u32),
    /// Rows from the top, three bytes a pixel.
    pub(in crate::report) rgb: Vec<u8>,
}

/// One thing to draw.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// Filled rectangle from its upper left to its lower right corner.
    Block { from: Point, to: Point, colour: Colour },
    /// Open line of some width.
    Line { points: Vec<Point>, width: f64, colour: Colour },
    /// Filled area.
    Area { points: Vec<Point>, colour: Colour },
    /// Filled circle.
    Dot { at: Point, radius: f64, colour: Colour },
    /// Line of text.
    Text(Text),
}

/// Everything on one picture. Images lie beneath all shapes; shapes are drawn in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scene {
    /// Width and height in pixels.
    pub(super) size: (u32, u32),
    pub(super) images: Vec<Image>,
    pub(super) shapes: Vec<Shape>,
}

impl Scene {
    pub(super) fn new(size: (u32, u32)) -> Self {
        Self { size, images: Vec::new(), shapes: Vec::new() }
    }

    pub(super) fn block(&mut self, from: Point, to: Point, colour: Colour) {
        self.shapes.push(Shape::Block { from, to, colour });
    }

    pub(super) fn line(&mut self, points: Vec<Point>, width: f64, colour: Colour) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, width, colour });
        }
    }

    pub(super) fn area(&mut self, points: Vec<Point>, colour: Colour) {
        if points.len() > 2 {
            self.shapes.push(Shape::Area { points, colour });
        }
    }

    pub(super) fn dot(&mut self, at: Point, radius: f64, colour: Colour) {
        self.shapes.push(Shape::Dot { at, radius, colour });
    }

    /// Regular text that starts at `at`, on that baseline.
    pub(super) fn text(&mut self, at: Point, text: impl Into<String>, size: f64, colour: Colour) {
        self.put(Text { at, text: text.into(), size, anchor: Anchor::Start, weight: Weight::Regular, colour });
    }

    pub(super) fn put(&mut self, text: Text) {
        self.shapes.push(Shape::Text(text));
    }
}
