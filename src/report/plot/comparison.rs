//! Devices side by side: their responses, and their levels over the reference's.

use super::Place;
use super::axes::{Frame, LABEL_SIZE, Spread, number};
use super::palette::{AFTER, ATTACK, BEFORE, Colour, GREY, INK, RELEASE};
use super::scene::{Anchor, Scene, Text, Weight};
use crate::pair::compare::DeviceReport;
use crate::pair::level::median;

/// Most devices on one picture.
const MOST: usize = 12;
/// Colours in turn; the second round is drawn thinner.
const COLOURS: [Colour; 5] = [AFTER, BEFORE, RELEASE, ATTACK, GREY];
/// Responses shown, in dB.
const RESPONSE_DB: f64 = 18.0;
/// Levels shown below the loudest, in dB.
const RANGE_DB: f64 = 50.0;

/// Puts the panels in their places.
pub(super) fn compose(size: (u32, u32), devices: &[DeviceReport], reference: &str) -> Scene {
    let mut scene = Scene::new(size);
    let devices = &devices[..devices.len().min(MOST)];
    scene.put(Text {
        at: (24.0, 52.0),
        text: format!("{} against {reference}", if devices.len() == 1 { "One recording" } else { "Recordings" }),
        size: 26.0,
        anchor: Anchor::Start,
        weight: Weight::Semibold,
        colour: INK,
    });
    let place = |left: f64, top: f64, right: f64, bottom: f64| Place { from: (left, top), to: (right, bottom) };
    responses(&mut scene, place(80.0, 130.0, 1570.0, 520.0), devices);
    dynamics(&mut scene, place(80.0, 620.0, 720.0, 1120.0), devices);
    rows(&mut scene, (790.0, 640.0), devices);
    scene
}

fn paint(k: usize) -> (Colour, f64) {
    (COLOURS[k % COLOURS.len()], if k < COLOURS.len() { 2.5 } else { 1.2 })
}

fn responses(scene: &mut Scene, place: Place, devices: &[DeviceReport]) {
    let frame =
        Frame::new(place.from, place.to, (Spread::Log, 45.0, 18_000.0), (Spread::Linear, -RESPONSE_DB, RESPONSE_DB));
    frame.y_grid(scene, 40.0, true);
    let ticks = frame.x.ticks(60.0);
    frame.x_grid(scene, &ticks, true, true);
    for (k, device) in devices.iter().enumerate() {
        let told = device.response.iter().filter(|b| b.frame_len > 0);
        let (colour, width) = paint(k);
        scene.line(told.map(|b| frame.at(b.centre_hz, b.gain_db)).collect(), width, colour);
    }
    frame.base_line(scene);
    frame.heading(scene, "Response", "dB over Hz, third octaves, mean set to 0");
}

/// Median level of each device at each level of the reference.
fn dynamics(scene: &mut Scene, place: Place, devices: &[DeviceReport]) {
    let range = (Spread::Linear, -RANGE_DB, 0.0);
    let frame = Frame::new(place.from, place.to, range, (Spread::Linear, -RANGE_DB, 10.0));
    frame.y_grid(scene, 40.0, true);
    let ticks = frame.x.ticks(60.0);
    frame.x_grid(scene, &ticks, true, true);
    scene.line(vec![frame.at(-RANGE_DB, -RANGE_DB), frame.at(0.0, 0.0)], 1.0, INK);
    for (k, device) in devices.iter().enumerate() {
        let v = &device.validation;
        let pairs = v
            .matched_db
            .iter()
            .zip(&v.before.level_db)
            .zip(&v.compared)
            .filter_map(|((m, p), on)| on.then_some((*m, p - m)))
            .collect::<Vec<_>>();
        let top = pairs.iter().map(|p| p.0).fold(-200.0, f64::max);
        let offset = median(&pairs.iter().map(|p| p.1).collect::<Vec<_>>());
        let points = (0..25)
            .filter_map(|step| {
                let at = -RANGE_DB + 1.0 + 2.0 * f64::from(step);
                let near = pairs.iter().filter(|p| (p.0 - top - at).abs() < 1.0).map(|p| p.1).collect::<Vec<_>>();
                (near.len() >= 10).then(|| frame.at(at, at + median(&near) - offset))
            })
            .collect();
        let (colour, width) = paint(k);
        scene.line(points, width, colour);
    }
    frame.base_line(scene);
    frame.heading(scene, "Dynamics", "level over the reference’s, dB; black is intact");
}

fn rows(scene: &mut Scene, (left, top): (f64, f64), devices: &[DeviceReport]) {
    let columns =
        [(0.0, ""), (390.0, "gain moves"), (480.0, "slope"), (580.0, "quietest"), (680.0, "loudest"), (775.0, "ppm")];
    let mut put = |x: f64, y: f64, text: String, anchor: Anchor, colour: Colour| {
        scene.put(Text { at: (left + x, y), text, size: LABEL_SIZE, anchor, weight: Weight::Regular, colour });
    };
    for (x, name) in &columns[1..] {
        put(*x, top, (*name).to_owned(), Anchor::End, GREY);
    }
    for (k, device) in devices.iter().enumerate() {
        let y = top + 36.0 * (k + 1) as f64;
        let name = if device.name.chars().count() > 30 {
            device.name.chars().take(29).chain(['…']).collect()
        } else {
            device.name.clone()
        };
        put(34.0, y, name, Anchor::Start, INK);
        let values = [
            number(device.gain_movement_db, 2),
            number(device.dynamics_slope, 2),
            number(device.quietest_dbfs, 1),
            number(device.loudest_dbfs, 1),
            number(device.drift_ppm, 1),
        ];
        for ((x, _), value) in columns[1..].iter().zip(values) {
            put(*x, y, value, Anchor::End, INK);
        }
    }
    for k in 0..devices.len() {
        let y = top + 36.0 * (k + 1) as f64 - 5.0;
        let (colour, width) = paint(k);
        scene.line(vec![(left, y), (left + 24.0, y)], width, colour);
    }
}
