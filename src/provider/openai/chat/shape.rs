//! Whether the JSON object of a call's arguments is closed, while it still comes in pieces.
//! Refuses to validate or to cut: whether it is good JSON is seen once, when the call is whole.

/// Follows one object through its pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing but white space came.
    #[default]
    Empty,
    /// The object is open.
    Open(Depth),
    /// The object is closed.
    Closed,
    /// What came is no object, or more than one.
    Foreign,
}

/// Where in an object we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    brackets: u32,
    text: Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    /// Inside, after a backslash.
    Escape,
}

impl Shape {
    /// Takes the next piece in.
    pub(super) fn take(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match self {
                Self::Empty | Self::Closed if byte.is_ascii_whitespace() => {}
                Self::Empty if byte == b'{' => {
                    *self = Self::Open(Depth {
                        brackets: 1,
                        text: Text::Outside,
                    });
                }
                Self::Open(depth) => {
                    if depth.step(byte) == 0 {
                        *self = Self::Closed;
                    }
                }
                Self::Empty | Self::Closed => *self = Self::Foreign,
                Self::Foreign => return,
            }
        }
    }
}

impl Depth {
    /// How many brackets are open after this byte.
    fn step(&mut self, byte: u8) -> u32 {
        self.text = match (self.text, byte) {
            (Text::Inside, b'\\') => Text::Escape,
            (Text::Inside, b'"') => Text::Outside,
            (Text::Inside | Text::Escape, _) => Text::Inside,
            (Text::Outside, b'"') => Text::Inside,
            (Text::Outside, byte) => {
                match byte {
                    b'{' | b'[' => self.brackets = self.brackets.saturating_add(1),
                    b'}' | b']' => self.brackets -= 1,
                    _ => {}
                }
                Text::Outside
            }
        };
        self.brackets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pieces: &[&str]) -> Shape {
        let mut shape = Shape::default();
        for piece in pieces {
            shape.take(piece);
        }
        shape
    }

    #[test]
    fn the_object_ends_where_it_ends_however_it_is_cut() {
        let whole = r#" {"a":"}\"{\\","b":[{"c":1}]}"#;
        for cut in 0..=whole.len() {
            let (first, second) = whole.split_at(cut);
            assert_eq!(shape(&[first, second]), Shape::Closed);
            assert_eq!(shape(&[first, second, " \n"]), Shape::Closed);
            assert_eq!(shape(&[first, second, " x"]), Shape::Foreign);
            let is_open = matches!(shape(&[first]), Shape::Open(_));
            assert_eq!(is_open, cut > 1 && cut < whole.len(), "{cut}");
        }
    }

    #[test]
    fn everything_else_is_foreign() {
        for pieces in [&["{}", "{}"][..], &["[1] x"], &["x"], &["{}", "}"]] {
            assert_eq!(shape(pieces), Shape::Foreign, "{pieces:?}");
        }
        assert_eq!(shape(&[" ", ""]), Shape::Empty);
    }
}
