//! Plug in a gain law of one's own: implement `Law` and `GainControl`, and hand it to the search.
//!
//! `cargo run --release --example own_law`

use agcfix::law::{Direction, GainControl, Law, Parameter, Scale, drive, gain_of};
use agcfix::{Audio, Config, Error, analyze, decode};
use std::sync::Arc;

/// A leveller that hears its own output `y`: `g = 1 / (1 + amount e)`, where `e` follows `|y|` up at once, down slowly.
#[derive(Debug)]
struct Opto;

const AMOUNT: Parameter =
    Parameter { name: "amount", unit: "", low: 1.0, high: 100.0, default: 10.0, scale: Scale::Log, meaning: "depth" };
const FALL: Parameter =
    Parameter { name: "fall_s", unit: "s", low: 0.02, high: 2.0, default: 0.2, scale: Scale::Log, meaning: "release" };

#[rustfmt::skip] // Short beats tall in an example.
impl Law for Opto {
    fn name(&self) -> &'static str { "opto" }
    fn summary(&self) -> &'static str { "opto-like leveller, an example" }
    fn parameters(&self) -> &[Parameter] { &[AMOUNT, FALL] }
    fn start(&self, values: &[f64], rate_hz: f64) -> Box<dyn GainControl> {
        Box::new(Running { amount: values[0] as f32, keep: (-1.0 / (values[1] * rate_hz)).exp() as f32, e: 0.0 })
    }
}

#[rustfmt::skip]
struct Running { amount: f32, keep: f32, e: f32 }
impl Running {
    /// The gain of a sample; then hears what came out, `output(gain)`.
    fn next(&mut self, output: impl Fn(f32) -> f32) -> f32 {
        let gain = 1.0 / (1.0 + self.amount * self.e);
        self.e = (self.e * self.keep).max(output(gain).abs().min(10.0));
        gain
    }
}

#[rustfmt::skip]
impl GainControl for Running {
    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) { drive.iter().zip(gain).for_each(|(x, g)| *g = self.next(|g| g * x)); }
    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) { recorded.iter().zip(gain).for_each(|(y, g)| *g = self.next(|_| *y)); }
}

fn main() -> Result<(), Error> {
    let clean = decode::read(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/prelude-mic.flac").as_ref())?.audio;
    let (heard, rate_hz) = (drive(clean.channels()), clean.sample_rate_hz());
    let gain = gain_of(&Opto, &[20.0, 0.3], f64::from(rate_hz), &heard, Direction::Forward);
    let phone = Audio::new(rate_hz, vec![heard.iter().zip(&gain).map(|(x, g)| x * g).collect()])?;

    let mut config = Config::default();
    config.fit.laws = vec![Arc::new(Opto)];
    let analysis = analyze(&phone, &config, &())?;
    println!("verdict {:?}, gain moves by {:.1} dB", analysis.verdict, analysis.evidence.gain_movement_db);
    for (found, truth) in analysis.law.iter().flat_map(|law| &law.parameters).zip([20.0, 0.3]) {
        println!("{} found {:.3} {}, true {truth}", found.name, found.value, found.unit);
    }
    Ok(())
}
