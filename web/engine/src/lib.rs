//! The engine behind the page: a recording's bytes in, findings and restored sound out.
//!
//! [`Session`] is the work, in three steps that the page can show one after the other. [`abi`] hands it to JavaScript as numbers
//! and memory, without a generator whose version would have to match. One thread; whoever wants to stop ends the worker.

mod abi;
#[cfg(target_arch = "wasm32")]
mod math;
mod session;

pub use session::{Level, Session, Story};
