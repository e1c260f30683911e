//! The engine as JavaScript sees it: a few functions of numbers, and bytes in the module's memory.
//!
//! All of it stays inside the worker that runs it. `take(len)` gives room for `len` bytes; then `open`, `analyze`, `restore` in this order. Each returns 0 for success, else 1
//! (its error is the output). What a step put out lies at `out_ptr(which)`, `out_len(which)` bytes long, until the next step.
//! `progress(stage, fraction)` is called back during `analyze`.
#![allow(unsafe_code, reason = "exported names, and an imported function that takes two numbers")]

use crate::session::{Session, level_of, preview_of, wav_of};
use agcfix::progress::{Observer, Stage};
use std::cell::RefCell;

/// What is kept between calls.
#[derive(Debug, Default)]
struct Kept {
    /// The recording's bytes, then its name.
    input: Vec<u8>,
    name: String,
    session: Option<Session>,
    /// Outputs of the last step: a document, sound, levels.
    out: [Vec<u8>; 3],
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::new(Kept::default());
}

const DOCUMENT: usize = 0;
const SOUND: usize = 1;
const LEVEL: usize = 2;

#[cfg(target_arch = "wasm32")]
mod imported {
    #[link(wasm_import_module = "page")]
    unsafe extern "C" {
        pub safe fn progress(stage: u32, fraction: f64);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imported {
    pub fn progress(_: u32, _: f64) {}
}

/// Tells the page.
struct Page;

impl Observer for Page {
    fn progress(&self, stage: Stage, fraction: f64) -> bool {
        let index = match stage {
            Stage::Partials => 0,
            Stage::Fit => 1,
            Stage::Verdict => 2,
            _ => 3,
        };
        imported::progress(index, fraction);
        true
    }
}

/// Room for a recording of `len` bytes.
#[unsafe(no_mangle)]
pub extern "C" fn take(len: usize) -> *mut u8 {
    KEPT.with_borrow_mut(|kept| {
        *kept = Kept { input: vec![0; len], ..Kept::default() };
        kept.input.as_mut_ptr()
    })
}

/// Decodes what lies in the room, whose last `name_len` bytes are its name. Puts out its shape and level.
#[unsafe(no_mangle)]
pub extern "C" fn open(name_len: usize) -> u32 {
    KEPT.with_borrow_mut(|kept| {
        let mut bytes = std::mem::take(&mut kept.input);
        let name = bytes.split_off(bytes.len().saturating_sub(name_len));
        kept.name = String::from_utf8_lossy(&name).into_owned();
        let opened = Session::open(bytes, &kept.name);
        kept.step(opened, |kept, session| {
            let audio = session.audio();
            let document = serde_json::json!({
                "sample_rate_hz": audio.sample_rate_hz(),
                "channel_len": audio.channels().len(),
                "duration_s": audio.duration_s(),
                "level_hop_s": crate::session::LEVEL_HOP_S,
            });
            kept.out = [document.to_string().into_bytes(), preview_of(audio), bytes_of(&level_of(audio))];
            kept.session = Some(session);
        })
    })
}

/// Analyses it. Puts out the document `agcfix.analysis/1`, and in the place of the sound the numbers that people are told.
#[unsafe(no_mangle)]
pub extern "C" fn analyze() -> u32 {
    KEPT.with_borrow_mut(|kept| {
        let name = kept.name.clone();
        let Some(session) = &mut kept.session else { return 1 };
        let analyzed = session.analyze(&name, &Page);
        kept.step(analyzed, |kept, (document, story)| {
            let told = serde_json::json!({ "swing_db": story.swing_db, "band_db": story.band_db });
            kept.out[DOCUMENT] = document;
            kept.out[SOUND] = told.to_string().into_bytes();
        })
    })
}

/// Restores it. Puts out sound and level, or nothing where there is nothing to undo.
#[unsafe(no_mangle)]
pub extern "C" fn restore() -> u32 {
    KEPT.with_borrow_mut(|kept| {
        let Some(session) = &kept.session else { return 1 };
        let restored = session.restore();
        kept.step(restored, |kept, audio| {
            if let Some(audio) = audio {
                kept.out[SOUND] = wav_of(&audio);
                kept.out[LEVEL] = bytes_of(&level_of(&audio));
            }
        })
    })
}

/// Where output `which` lies: 0 document or error, 1 sound, 2 level.
#[unsafe(no_mangle)]
pub extern "C" fn out_ptr(which: usize) -> *const u8 {
    KEPT.with_borrow(|kept| kept.out.get(which).map_or(std::ptr::null(), |out| out.as_ptr()))
}

/// Its length in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn out_len(which: usize) -> usize {
    KEPT.with_borrow(|kept| kept.out.get(which).map_or(0, Vec::len))
}

impl Kept {
    /// Keeps what a step put out, or its error.
    fn step<T>(&mut self, result: Result<T, agcfix::Error>, keep: impl FnOnce(&mut Self, T)) -> u32 {
        self.out = Default::default();
        match result {
            Ok(value) => {
                keep(self, value);
                0
            }
            Err(error) => {
                self.out[DOCUMENT] = error.to_string().into_bytes();
                1
            }
        }
    }
}

fn bytes_of(level: &[f32]) -> Vec<u8> {
    level.iter().flat_map(|x| x.to_le_bytes()).collect()
}
