//! Where the JSON object of a call's arguments begins and ends, while it still comes in pieces.
//! Refuses to validate: whether it is good JSON is seen once, when the call is whole.

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
    /// What came is no object; it is passed on as it is.
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
    /// Takes a piece and says how many of its bytes belong to the arguments.
    pub(super) fn take(&mut self, piece: &str) -> usize {
        for (at, byte) in piece.bytes().enumerate() {
            match self {
                Self::Empty if byte.is_ascii_whitespace() => {}
                Self::Empty if byte == b'{' => {
                    *self = Self::Open(Depth {
                        brackets: 1,
                        text: Text::Outside,
                    });
                }
                Self::Empty => *self = Self::Foreign,
                Self::Open(depth) => {
                    if depth.step(byte) == 0 {
                        *self = Self::Closed;
                    }
                }
                // A second object is no rest to be dropped: which of the two is meant?
                Self::Closed if byte == b'{' => {
                    *self = Self::Foreign;
                    return piece.len();
                }
                Self::Closed if byte.is_ascii_whitespace() => {}
                Self::Closed => return at,
                Self::Foreign => return piece.len(),
            }
        }
        piece.len()
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

    fn taken(pieces: &[&str]) -> (String, Shape) {
        let mut shape = Shape::default();
        let mut all = String::new();
        for piece in pieces {
            let end = shape.take(piece);
            all.push_str(&piece[..end]);
        }
        (all, shape)
    }

    #[test]
    fn the_object_ends_where_it_ends_however_it_is_cut() {
        let whole = r#" {"a":"}\"{\\","b":[{"c":1}]}"#;
        for cut in 0..=whole.len() {
            let (first, second) = whole.split_at(cut);
            assert_eq!(taken(&[first, second]), (whole.to_owned(), Shape::Closed));
            let rest = format!("{second}</tool_call>");
            assert_eq!(taken(&[first, &rest]), (whole.to_owned(), Shape::Closed));
            assert_eq!(
                taken(&[first, second, "}"]),
                (whole.to_owned(), Shape::Closed)
            );
        }
    }

    #[test]
    fn a_second_object_and_other_things_are_passed_on() {
        assert_eq!(
            taken(&["{}", r#"{"a":1}"#]),
            (r#"{}{"a":1}"#.into(), Shape::Foreign)
        );
        assert_eq!(taken(&["[1] x"]), ("[1] x".into(), Shape::Foreign));
        assert_eq!(
            taken(&["{\"a\""]).1,
            Shape::Open(Depth {
                brackets: 1,
                text: Text::Outside
            })
        );
        assert_eq!(taken(&[" ", ""]), (" ".into(), Shape::Empty));
    }
}
