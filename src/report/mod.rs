//! What people and programs get to see: JSON, CSV, labels, the summary, the picture.

#[cfg(feature = "plot")]
pub mod plot;
#[cfg(test)]
mod specimen;
pub mod story;
