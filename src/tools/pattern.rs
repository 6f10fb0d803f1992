//! Globs that models write, compiled with the manners all tools share.
//! Refuses what is too long to be meant, and never panics over the rest.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Bytes of a glob.
pub(super) const MAX_PATTERN: usize = 1024;

/// One matcher for all the globs. `*` stays within a name.
///
/// A set even for one glob: compiling a glob by itself panics where the set reports an error.
pub(super) fn compile<'a>(globs: impl IntoIterator<Item = &'a str>) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        if glob.len() > MAX_PATTERN {
            return Err(format!(
                "a glob has at most {MAX_PATTERN} bytes, this one has {}",
                glob.len()
            ));
        }
        let parsed = GlobBuilder::new(glob).literal_separator(true).build();
        set.add(parsed.map_err(|error| format!("this is no glob: {error}"))?);
    }
    set.build().map_err(|error| {
        // The expression it was turned into says nothing to whoever wrote the glob.
        format!("this glob is too complicated: {:?}", error.kind())
    })
}
