//! Colour, where people see it: on a terminal, and not against their wish.
//!
//! `--color` decides; else `NO_COLOR` (no-color.org) and a terminal of the kind `dumb` say no.

use clap::ColorChoice;
use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;

static CHOICE: OnceLock<ColorChoice> = OnceLock::new();

/// What was typed after `--color`, found before anything else is understood: help has colours too.
pub fn typed() -> ColorChoice {
    // Names of files need not be UTF-8; what is replaced in them is no option.
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let value = words.iter().enumerate().find_map(|(i, word)| match word.strip_prefix("--color") {
        Some("") => words.get(i + 1).map(String::as_str),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    });
    match value {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// Settles it for the rest of the run.
pub fn choose(choice: ColorChoice) {
    let _ = CHOICE.set(choice);
}

/// A warning's or an error's first word.
pub fn alert(text: &str) -> String {
    let is_coloured = match CHOICE.get().copied().unwrap_or(ColorChoice::Auto) {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb
        }
    };
    // Bold red, then as before: ECMA-48, select graphic rendition.
    if is_coloured { format!("\u{1b}[1;31m{text}\u{1b}[0m") } else { text.to_owned() }
}
