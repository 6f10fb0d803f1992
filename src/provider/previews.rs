//! What was shown of each part before its whole came, kept as a length and a hash.
//! Refuses to keep the text: the engine has it already, and an answer is not stored twice.

/// Remembers the pieces of every part of one answer.
#[derive(Debug, Default)]
pub(crate) struct Previews {
    // The part that grows is nearly always the last one, so a search from the end is the fastest.
    list: Vec<(u32, Preview)>,
}

/// What was shown of one part.
#[expect(
    clippy::struct_excessive_bools,
    reason = "two facts of one part, each read by its name"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preview {
    len: usize,
    hash: u64,
    /// Which stretch of the part the last piece belonged to.
    pub(crate) segment: u64,
    /// Whether the part was announced to the engine.
    pub(crate) begun: bool,
    /// Whether its whole has come: nothing that follows can change it.
    pub(crate) done: bool,
}

impl Default for Preview {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Preview {
    const EMPTY: Self = Self {
        len: 0,
        hash: 0xcbf2_9ce4_8422_2325, // FNV-1a, in 64 bits
        segment: 0,
        begun: false,
        done: false,
    };

    /// Takes one more piece in.
    pub(crate) fn push(&mut self, piece: &str) {
        self.begun = true;
        self.len += piece.len();
        for byte in piece.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Whether nothing was shown.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether what was shown is exactly this.
    pub(crate) fn is(&self, whole: &str) -> bool {
        let mut other = Self::EMPTY;
        self.len == whole.len() && {
            other.push(whole);
            self.hash == other.hash
        }
    }
}

impl Previews {
    /// What was shown of this part so far.
    pub(crate) fn of(&mut self, part: u32) -> &mut Preview {
        let at = match self.list.iter().rposition(|(number, _)| *number == part) {
            Some(at) => at,
            None => {
                self.list.push((part, Preview::EMPTY));
                self.list.len() - 1
            }
        };
        &mut self.list[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_compared_with_their_whole() {
        let mut previews = Previews::default();
        assert!(previews.of(3).is_empty() && previews.of(3).is(""));
        for piece in ["ab", "", "c"] {
            previews.of(3).push(piece);
        }
        previews.of(1).push("x");
        assert!(previews.of(3).is("abc"));
        for other in ["", "ab", "abd", "bac", "abcd"] {
            assert!(!previews.of(3).is(other), "{other}");
        }
        assert!(previews.of(1).is("x"));
    }
}
