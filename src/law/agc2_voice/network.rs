//! The network: 24 units, 24 that remember, one that answers.

use super::{FEATURES, dot};

/// Units of the first and the second layer.
const UNITS: usize = 24;
/// Gates of a unit that remembers: update, reset and state.
const GATES: usize = 3;
/// All constants, in 256ths, layer by layer: weights by input and unit, what the units had said before, biases.
const CONSTANTS: &[u8; 4585] = include_bytes!("network.i8");

/// Weights of one unit after the other.
#[derive(Debug, Clone)]
struct Weights {
    inputs: usize,
    of_units: Vec<f32>,
}

impl Weights {
    fn of(&self, unit: usize) -> &[f32] {
        &self.of_units[unit * self.inputs..(unit + 1) * self.inputs]
    }
}

/// The network and what it remembers.
#[derive(Debug, Clone)]
pub(super) struct Network {
    first: Weights,
    first_bias: Vec<f32>,
    second: Weights,
    memory: Weights,
    second_bias: Vec<f32>,
    last: Weights,
    last_bias: f32,
    /// `tanh` at every 0.04, to six digits.
    tanh: Vec<f32>,
    state: [f32; UNITS],
}

impl Network {
    pub(super) fn new() -> Self {
        let mut constants = CONSTANTS.iter().map(|&byte| f32::from(byte as i8) / 256.0);
        let mut take = |len: usize| constants.by_ref().take(len).collect::<Vec<_>>();
        let mut layer = |inputs: usize, units: usize| {
            let by_input = take(inputs * units);
            let of_units = (0..units * inputs).map(|k| by_input[k % inputs * units + k / inputs]).collect();
            Weights { inputs, of_units }
        };
        let first = layer(FEATURES, UNITS);
        let first_bias = layer(1, UNITS).of_units;
        let second = layer(UNITS, GATES * UNITS);
        let memory = layer(UNITS, GATES * UNITS);
        let second_bias = layer(1, GATES * UNITS).of_units;
        let last = layer(UNITS, 1);
        let last_bias = layer(1, 1).of_units[0];
        let tanh = (0..=200).map(|k| ((0.04 * f64::from(k)).tanh() * 1e6).round() / 1e6).map(|y| y as f32);
        let tanh = tanh.collect();
        Self { first, first_bias, second, memory, second_bias, last, last_bias, tanh, state: [0.0; UNITS] }
    }

    pub(super) fn forget(&mut self) {
        self.state = [0.0; UNITS];
    }

    /// Probability of speech.
    pub(super) fn probability(&mut self, features: &[f32; FEATURES]) -> f32 {
        let input: [f32; UNITS] =
            std::array::from_fn(|k| self.tanh(self.first_bias[k] + dot(features, self.first.of(k))));
        let sum = |gate: usize, unit: usize, state: &[f32]| {
            let k = gate * UNITS + unit;
            self.second_bias[k] + dot(&input, self.second.of(k)) + dot(state, self.memory.of(k))
        };
        let update: [f32; UNITS] = std::array::from_fn(|k| self.sigmoid(sum(0, k, &self.state)));
        let kept: [f32; UNITS] = std::array::from_fn(|k| self.state[k] * self.sigmoid(sum(1, k, &self.state)));
        let state = std::array::from_fn(|k| update[k] * self.state[k] + (1.0 - update[k]) * sum(2, k, &kept).max(0.0));
        self.state = state;
        self.sigmoid(self.last_bias + dot(&self.state, self.last.of(0)))
    }

    /// `tanh` from a table, with the device's correction.
    fn tanh(&self, x: f32) -> f32 {
        if x.is_nan() || x.abs() >= 8.0 {
            return if x <= -8.0 { -1.0 } else { 1.0 };
        }
        let index = (0.5 + 25.0 * x.abs()).floor();
        let y = self.tanh[(index as usize).min(self.tanh.len() - 1)];
        let beyond = x.abs() - 0.04 * index;
        (y + beyond * (1.0 - y * y) * (1.0 - y * beyond)).copysign(x)
    }

    fn sigmoid(&self, x: f32) -> f32 {
        0.5 + 0.5 * self.tanh(0.5 * x)
    }
}
