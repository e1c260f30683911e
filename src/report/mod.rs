//! What people and programs get to see: JSON, CSV, labels, the picture.
