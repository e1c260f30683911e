#![no_main]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(init: properties::keep_quiet_about_decoders(), |data: &[u8]| properties::manifest(data));
