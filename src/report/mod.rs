//! What people and programs get to see: JSON, CSV, labels, the summary, the picture, the page,
//! files for other programs.

#[cfg(feature = "plot")]
mod base64;
pub mod interchange;
pub mod json;
pub mod labels;
#[cfg(feature = "page")]
pub mod page;
#[cfg(feature = "plot")]
pub mod plot;
#[cfg(test)]
pub(crate) mod specimen;
pub mod story;
pub mod summary;
pub mod table;

#[cfg(feature = "plot")]
use base64::base64;
