//! What people and programs get to see: JSON, CSV, labels, the summary, the picture.

pub mod json;
pub mod labels;
#[cfg(feature = "plot")]
pub mod plot;
#[cfg(test)]
mod specimen;
pub mod story;
pub mod summary;
pub mod table;
