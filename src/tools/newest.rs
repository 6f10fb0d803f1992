//! The newest of many files, in bounded memory.
//! Refuses to forget how many there were.

use std::time::SystemTime;

/// Keeps the newest files it is told of, and counts all.
#[derive(Debug)]
pub(super) struct Newest {
    keep: usize,
    total: u64,
    files: Vec<(SystemTime, String)>,
}

impl Newest {
    pub(super) fn of(keep: usize) -> Self {
        Self {
            keep,
            total: 0,
            files: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, modified: SystemTime, path: String) {
        self.total += 1;
        self.files.push((modified, path));
        if self.files.len() >= 2 * self.keep.max(512) {
            self.cut();
        }
    }

    /// Newest first; of the same age, by name.
    fn cut(&mut self) {
        self.files
            .sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        self.files.truncate(self.keep);
    }

    /// The paths, one a line, the notice if there is one, and the line that counts.
    pub(super) fn text(mut self, notice: Option<String>) -> String {
        self.cut();
        let mut out = String::new();
        for (_, path) in &self.files {
            out.push_str(path);
            out.push('\n');
        }
        if let Some(notice) = notice {
            out.push_str(&notice);
            out.push('\n');
        }
        let (shown, total) = (self.files.len() as u64, self.total);
        if shown < total {
            out.push_str(&format!("({shown} of {total} files shown)"));
        } else {
            out.push_str(&format!("({total} files)"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_are_kept_however_many_come() {
        let mut newest = Newest::of(3);
        for n in 0..5000_u64 {
            let age = n * 7919 % 5000; // every age once, in no order
            newest.push(
                SystemTime::UNIX_EPOCH + Duration::from_secs(age),
                format!("f{age}"),
            );
        }
        assert!(newest.files.len() < 1100);
        assert_eq!(
            newest.text(Some("(n)".into())),
            "f4999\nf4998\nf4997\n(n)\n(3 of 5000 files shown)"
        );
        assert_eq!(Newest::of(3).text(None), "(0 files)");
    }
}
