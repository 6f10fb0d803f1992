//! Patterns in the list of files that an agent may reach.
//! Refuses to be built without the feature `local`: without it there are no files to reach.

use std::path::Path;

use crate::spec::Reach;

/// A pattern such as `docs/**/*.md`.
#[cfg(feature = "local")]
pub(super) struct Pattern {
    glob: globset::GlobMatcher,
    /// What stands before the last `/**`, where the pattern ends so: everything in a folder that
    /// fits this fits the pattern.
    folder: Option<globset::GlobMatcher>,
}

#[cfg(feature = "local")]
impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let compile = |text: &str| {
            let mut glob = globset::GlobBuilder::new(text);
            let glob = glob.literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher())
                .map_err(|error| error.to_string())
        };
        Ok(Self {
            folder: text.strip_suffix("/**").map(compile).transpose()?,
            glob: compile(text)?,
        })
    }

    pub(super) fn admits(&self, reach: Reach, path: &Path) -> bool {
        match (&self.folder, reach) {
            (_, Reach::File) => self.glob.is_match(path),
            (None, _) => self.glob.glob().glob() == "**",
            (Some(folder), _) => folder.is_match(path) || self.glob.is_match(path),
        }
    }
}

/// There is none without the feature `local`.
#[cfg(not(feature = "local"))]
pub(super) enum Pattern {}

#[cfg(not(feature = "local"))]
impl Pattern {
    pub(super) fn new(_: &str) -> Result<Self, String> {
        Err("patterns need the feature `local`".into())
    }

    pub(super) fn admits(&self, _: Reach, _: &Path) -> bool {
        match *self {}
    }
}
