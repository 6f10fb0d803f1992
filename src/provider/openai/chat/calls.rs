//! Which call a piece belongs to, on servers that number their calls, and on those that do not.
//! Refuses to merge two calls because they look alike: both are real.

use std::collections::VecDeque;

use super::shape::Shape;
use crate::{
    error::{Error, ErrorKind, Result},
    id::CallId,
    provider::Delta,
};

/// Calls in one answer. The engine has a lower limit of its own; this one bounds the search.
const MAX_CALLS: usize = 4096;

/// The calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Vec<Open>,
}

/// One piece of a call, as it came.
#[derive(Debug, Default)]
pub(super) struct Piece<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

#[derive(Debug, Default)]
struct Open {
    index: Option<u64>,
    id: String,
    name: String,
    part: u32,
    shape: Shape,
    /// Arguments that came before the name.
    held: String,
}

impl Calls {
    /// Takes one piece in; a new call takes the next part.
    pub(super) fn take(
        &mut self,
        piece: &Piece<'_>,
        next_part: &mut u32,
        out: &mut VecDeque<Delta>,
    ) -> Result<()> {
        let at = match self.find(piece) {
            Some(at) => at,
            None => {
                if self.open.len() >= MAX_CALLS {
                    let message = format!("too many calls in one answer: `{MAX_CALLS}`");
                    return Err(Error::new(ErrorKind::Limit, message));
                }
                self.open.push(Open {
                    index: piece.index,
                    part: *next_part,
                    ..Open::default()
                });
                *next_part += 1;
                self.open.len() - 1
            }
        };
        if self.open[at].id.is_empty() && !piece.id.is_empty() {
            self.open[at].id = piece.id.to_owned();
        }
        if self.open[at].name.is_empty() && !piece.name.is_empty() {
            self.announce(at, piece.name, out);
        }
        self.open[at].arguments(piece.arguments, out);
        Ok(())
    }

    /// Whether a call has no name to the end: the server could not read what the model wrote.
    pub(super) fn has_unnamed(&self) -> bool {
        self.open.iter().any(|call| call.name.is_empty())
    }

    /// Whether there is any call.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn announce(&mut self, at: usize, name: &str, out: &mut VecDeque<Delta>) {
        let id = self.open[at].id.clone();
        // The same id twice would pair two calls with one result.
        let is_free = !id.is_empty() && self.open[..at].iter().all(|call| call.id != id);
        let call = &mut self.open[at];
        call.name = name.to_owned();
        out.push_back(Delta::Call {
            part: call.part,
            id: is_free.then(|| CallId::new(id)),
            name: name.to_owned(),
        });
        if !call.held.is_empty() {
            let json = std::mem::take(&mut call.held);
            let part = call.part;
            out.push_back(Delta::Arguments { part, json });
        }
    }

    /// The call that a piece continues; `None` when it begins one.
    fn find(&self, piece: &Piece<'_>) -> Option<usize> {
        let last = self.open.len().checked_sub(1)?;
        let at = if piece.index.is_some() {
            let at = self.open.iter().rposition(|call| call.index == piece.index);
            // Some servers number only some of the pieces.
            at.or_else(|| {
                (piece.name.is_empty() && self.open[last].index.is_none()).then_some(last)
            })?
        } else if piece.id.is_empty() {
            last
        } else {
            let same = self.open.iter().rposition(|call| call.id == piece.id);
            same.unwrap_or(last)
        };
        self.open[at].is_continued_by(piece).then_some(at)
    }
}

impl Open {
    fn is_continued_by(&self, piece: &Piece<'_>) -> bool {
        // Every call under the same number, told apart by its id: an Ollama does that.
        if !piece.id.is_empty() && !self.id.is_empty() && piece.id != self.id {
            return false;
        }
        if piece.name.is_empty() || self.name.is_empty() {
            return true;
        }
        // The name again: with each piece, or because it is the next call?
        let begins_anew =
            self.shape == Shape::Closed && piece.arguments.trim_start().starts_with('{');
        piece.name == self.name && !begins_anew
    }

    fn arguments(&mut self, piece: &str, out: &mut VecDeque<Delta>) {
        if piece.is_empty() {
            return;
        }
        self.shape.take(piece);
        if self.name.is_empty() {
            self.held.push_str(piece);
            return;
        }
        let (part, json) = (self.part, piece.to_owned());
        out.push_back(Delta::Arguments { part, json });
    }
}
