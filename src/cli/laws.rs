//! Gain laws as they are typed: the list of them, and the choice of one.

use agcfix::law::{FittedParameter, Law, LawFit, families};
use std::fmt::Write as _;
use std::sync::Arc;

/// What `--law` means.
#[derive(Debug, Clone)]
pub enum LawChoice {
    /// Find out.
    Auto,
    /// There was none.
    None,
    /// This one, its constants to be found.
    Fitted(Arc<dyn Law>),
    /// This one, with these constants.
    Given(LawFit),
}

impl LawChoice {
    /// Reads `auto`, `none`, `NAME` or `NAME:key=value,...`; the error is one line for the user.
    pub fn of(typed: &str) -> Result<Self, String> {
        let (name, constants) = match typed.split_once(':') {
            Some((name, constants)) => (name, Some(constants)),
            None => (typed, None),
        };
        match (name, constants) {
            ("auto", None) => return Ok(Self::Auto),
            ("none", None) => return Ok(Self::None),
            _ => {}
        }
        let laws = families();
        let Some(law) = laws.iter().find(|law| law.name() == name) else {
            let names: Vec<&str> = laws.iter().map(|law| law.name()).collect();
            return Err(format!(
                "--law {typed}: no law is called {name:?}; there are auto, none, {}",
                names.join(", ")
            ));
        };
        match constants {
            None => Ok(Self::Fitted(Arc::clone(law))),
            Some(constants) => {
                given(law.as_ref(), constants).map(Self::Given).map_err(|e| format!("--law {typed}: {e}"))
            }
        }
    }
}

/// A law whose constants are its defaults, but for those that are given.
fn given(law: &dyn Law, constants: &str) -> Result<LawFit, String> {
    let fixed = |name: &str, unit: &str, value: f64| FittedParameter {
        name: name.to_owned(),
        unit: unit.to_owned(),
        value,
        lower: value,
        upper: value,
    };
    let mut parameters: Vec<FittedParameter> =
        law.parameters().iter().map(|p| fixed(p.name, p.unit, p.default)).collect();
    for constant in constants.split(',') {
        let Some((key, value)) = constant.split_once('=') else {
            return Err(format!("{constant:?} is not of the form key=value"));
        };
        let (key, value) = (key.trim(), value.trim());
        let Some(index) = law.parameters().iter().position(|p| p.name == key) else {
            let names: Vec<&str> = law.parameters().iter().map(|p| p.name).collect();
            return Err(format!("{} has no constant {key:?}; it has {}", law.name(), names.join(", ")));
        };
        let range = &law.parameters()[index];
        match value.parse::<f64>() {
            Ok(value) if (range.low..=range.high).contains(&value) => parameters[index] = fixed(key, range.unit, value),
            Ok(_) => {
                let unit = if range.unit.is_empty() { String::new() } else { format!(" {}", range.unit) };
                return Err(format!("{key}={value} is out of its range, {} to {}{unit}", range.low, range.high));
            }
            Err(_) => return Err(format!("{key}={value}: {value:?} is not a number")),
        }
    }
    Ok(LawFit { name: law.name().to_owned(), parameters, landings: Vec::new() })
}

/// The list of laws for people.
pub fn table() -> String {
    let mut out = String::from("Gain laws, as typed after --law NAME or --law NAME:key=value,...\n");
    for law in families() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n{}\n  {}", law.name(), law.summary());
        let rows: Vec<[String; 4]> = law
            .parameters()
            .iter()
            .map(|p| {
                let range = format!("{} … {}", p.low, p.high);
                [
                    p.name.to_owned(),
                    format!("{range} {}", p.unit).trim_end().to_owned(),
                    p.default.to_string(),
                    p.meaning.to_owned(),
                ]
            })
            .collect();
        let header = ["constant", "range", "default", "meaning"].map(str::to_owned);
        let width = |column: usize| {
            std::iter::once(&header).chain(&rows).map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let (name, range, default) = (width(0), width(1), width(2));
        for row in std::iter::once(&header).chain(&rows) {
            let _ = writeln!(out, "    {:name$}  {:range$}  {:>default$}  {}", row[0], row[1], row[2], row[3]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn what_is_not_given_keeps_its_default() {
        let law = &families()[0];
        let (first, second) = (&law.parameters()[0], &law.parameters()[1]);
        let typed = format!("{}:{}={}", law.name(), first.name, first.low);
        let LawChoice::Given(fit) = LawChoice::of(&typed).unwrap() else { unreachable!("constants were given") };
        assert_eq!(fit.values()[..2], [first.low, second.default]);
    }

    #[test]
    fn wrong_choices_are_told_what_would_be_right() {
        let law = &families()[0];
        let (name, first) = (law.name(), &law.parameters()[0]);
        for (typed, told) in [
            ("loudness".to_owned(), "there are auto, none, "),
            ("auto:x=1".to_owned(), "no law is called"),
            (String::new(), "no law is called"),
            (format!("{name}:"), "not of the form key=value"),
            (format!("{name}:x=1"), "it has "),
            (format!("{name}:{}=loud", first.name), "is not a number"),
            (format!("{name}:{}=nan", first.name), "out of its range"),
            (format!("{name}:{}=1e9", first.name), "out of its range"),
        ] {
            let error = LawChoice::of(&typed).unwrap_err();
            assert!(error.contains(told), "{typed:?}: {error}");
        }
    }
}
