//! Which files a search takes, by the glob that a model gave with it.
//! Refuses to look at files; it judges paths.

use std::path::Path;

use globset::GlobSet;

use crate::tools::{hidden::Hidden, pattern::compile};

/// Which files are searched.
pub(super) struct Filter {
    pub(super) hits: Hit,
    pub(super) hidden: Hidden,
}

/// What a glob is held against.
pub(super) enum Hit {
    Everything,
    Name(GlobSet),
    Path(GlobSet),
    Not(Box<Hit>),
}

impl Filter {
    pub(super) fn new(glob: Option<&str>) -> Result<Self, String> {
        let Some(text) = glob.filter(|glob| !glob.is_empty()) else {
            return Ok(Self {
                hits: Hit::Everything,
                hidden: Hidden::default(),
            });
        };
        let Some(inverted) = text.strip_prefix('!') else {
            return Ok(Self {
                hits: Hit::new(text)?,
                hidden: Hidden::named_by(text),
            });
        };
        Ok(Self {
            hits: Hit::Not(Box::new(Hit::new(inverted)?)),
            hidden: Hidden::default(),
        })
    }
}

impl Hit {
    fn new(glob: &str) -> Result<Self, String> {
        let glob = glob.strip_prefix("./").unwrap_or(glob);
        let set = compile([glob])?;
        // As in ignore files: a glob of one name means that name at any depth.
        Ok(match glob.contains('/') {
            true => Self::Path(set),
            false => Self::Name(set),
        })
    }

    pub(super) fn takes(&self, below: &Path) -> bool {
        match self {
            Self::Everything => true,
            Self::Name(glob) => below.file_name().is_some_and(|name| glob.is_match(name)),
            Self::Path(glob) => glob.is_match(below),
            Self::Not(hit) => !hit.takes(below),
        }
    }
}
