//! One of several equal parts of the work, for machines that do not know of each other.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Part `index` of `count`, counted from 1: of a list, every `count`-th entry from the `index`-th on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Entries of a list that are in this part.
    pub fn of<T>(self, list: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        list.into_iter().skip(self.index - 1).step_by(self.count)
    }

    /// The file of this part: `results.jsonl` becomes `results.2-of-8.jsonl`, so that no two parts write to one file.
    #[must_use]
    pub fn path(self, whole: &Path) -> PathBuf {
        if self == Self::WHOLE {
            return whole.to_owned();
        }
        let ending = whole.extension().unwrap_or_default().to_string_lossy();
        let part = format!("{}-of-{}.{ending}", self.index, self.count);
        whole.with_extension(part.trim_end_matches('.'))
    }

    /// The part that a file's name tells of.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?;
        let (index, count) = stem.rsplit('.').next()?.split_once("-of-")?;
        format!("{index}/{count}").parse().ok()
    }

    /// Which parts are missing from a set of files that tell of parts: their names, where the set is not whole.
    #[must_use]
    pub fn missing(paths: &[PathBuf]) -> Vec<String> {
        let there = paths.iter().filter_map(|path| Self::of_path(path)).collect::<Vec<_>>();
        let Some(count) = there.iter().map(|shard| shard.count).max() else { return Vec::new() };
        let is_there = |index: usize| there.contains(&Self { index, count });
        (1..=count).filter(|index| !is_there(*index)).map(|index| format!("{index}/{count}")).collect()
    }
}

/// Most parts that work is cut into.
const MAX_COUNT: usize = 1_000_000;

impl FromStr for Shard {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let numbers = typed.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) && count <= MAX_COUNT => Ok(Self { index, count }),
            _ => Err(format!("{typed:?} is no part; give I/N, such as 2/8, with I from 1 to N")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn the_parts_are_the_whole_and_nothing_twice() {
        for count in 1..9 {
            let mut all = (1..=count)
                .flat_map(|i| format!("{i}/{count}").parse::<Shard>().unwrap().of(0..23))
                .collect::<Vec<_>>();
            all.sort_unstable();
            assert_eq!(all, (0..23).collect::<Vec<_>>());
        }
        let sizes = ["1/4", "2/4", "3/4", "4/4"].map(|s| s.parse::<Shard>().unwrap().of(0..23).count());
        assert_eq!(sizes, [6, 6, 6, 5]);
    }

    #[test]
    fn parts_are_typed_from_one_on() {
        for wrong in ["", "1", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/4/4", "1/99999999"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_parts_file_tells_which_part_it_is() {
        let shard: Shard = "2/8".parse().unwrap();
        let path = shard.path(Path::new("out/results.jsonl"));
        assert_eq!(path, Path::new("out/results.2-of-8.jsonl"));
        assert_eq!(Shard::of_path(&path), Some(shard));
        assert_eq!(Shard::of_path(Path::new("results.jsonl")), None);
        assert_eq!(Shard::WHOLE.path(Path::new("r.jsonl")), Path::new("r.jsonl"));
        let of = |i: usize| format!("{i}/3").parse::<Shard>().unwrap().path(Path::new("r.jsonl"));
        assert_eq!(Shard::missing(&[of(1), of(3)]), ["2/3"]);
        assert!(Shard::missing(&[of(1), of(2), of(3)]).is_empty() && Shard::missing(&["r.jsonl".into()]).is_empty());
    }
}
