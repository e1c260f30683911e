//! The `agcfix` program.
fn main() {}
