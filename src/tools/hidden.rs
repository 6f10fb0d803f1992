//! Which hidden entries a glob names, so that they are not passed over.
//! Refuses to guess: a `*` names no hidden entry, as in a shell.

use std::path::Path;

use globset::GlobSet;

use super::pattern;

/// The hidden names that a glob speaks of.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    named: Vec<GlobSet>,
}

impl Hidden {
    /// The parts of a glob that begin with a dot, or may.
    pub(super) fn named_by(glob: &str) -> Self {
        let speaks = |part: &&str| {
            part.starts_with('.') && *part != "." || part.contains("{.") || part.contains(",.")
        };
        let named = glob
            .split('/')
            .filter(speaks)
            .filter_map(|part| pattern::compile([part]).ok())
            .collect();
        Self { named }
    }

    /// Whether an entry is hidden and not named.
    pub(super) fn passes_over(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else {
            return false;
        };
        let hidden = name.as_encoded_bytes().first() == Some(&b'.');
        hidden && !self.named.iter().any(|glob| glob.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_glob_names_is_shown() {
        let table = [
            ("**/*", ".env", true),
            ("**/*", "a", false),
            ("**/.env*", ".env.local", false),
            ("**/.env*", ".git", true),
            (".github/**/*.yml", ".github", false),
            (".github/**/*.yml", ".github/.x", true),
            ("{.a,b}/*", ".a", false),
            ("{b,.a}", "x/.a", false),
            ("./*", ".a", true),
            ("..", ".a", true),
        ];
        for (glob, path, passed_over) in table {
            let hidden = Hidden::named_by(glob);
            assert_eq!(
                hidden.passes_over(Path::new(path)),
                passed_over,
                "{glob} {path}"
            );
        }
    }
}
