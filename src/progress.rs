//! How a caller follows long work, and stops it.

/// A stage of the analysis, in the order they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Transforms, peaks, partials and decays.
    Partials,
    /// The search over gain laws.
    Fit,
    /// Significance and confidence.
    Verdict,
    /// The inverse gain applied to the samples.
    Restore,
}

impl Stage {
    /// A short name to show a person.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Partials => "following partials",
            Self::Fit => "searching gain laws",
            Self::Verdict => "weighing the evidence",
            Self::Restore => "restoring",
        }
    }
}

/// Told of progress; may ask to stop. `()` is the observer that watches nothing.
pub trait Observer: Sync {
    /// `fraction` of `stage` is done (0 to 1). Return `false` to stop: the work ends with [`crate::Error::Cancelled`].
    fn progress(&self, stage: Stage, fraction: f64) -> bool;
}

impl Observer for () {
    fn progress(&self, _: Stage, _: f64) -> bool {
        true
    }
}
